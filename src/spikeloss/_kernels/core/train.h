/* The squared distance of filtered trains: z_t = a z_(t-1) + x_t - y_t, sum_t z_t^2, and back.
 * Included once for float and once for double. */

/* Steps whose z are kept for the way back, at least, and entries, which should stay in the cache */
enum { F(TRAIN_STEPS) = 64, F(TRAIN_ENTRIES) = (1 << 18) / sizeof(R) };

/* Where z of a chunk is kept: row of its step i, sample j at data + i * time + j * sample. */
typedef F(sl_out_rows) F(kept);

/* What goes through a tile: z from `state` on; its squares onto `total`, or it into rows. */
typedef struct {
    int64_t steps, row;
    R *state, *rows;
    double *total;
    V decay;
} F(train_way);

INLINE void F(train_columns)(int same, const F(sl_tile) *s, const R *x, const R *y,
                             int64_t lanes, int64_t k, const F(train_way) *w) {
    V z[SL_ABREAST], sum[SL_ABREAST], given[SL_ABREAST];
    const int64_t many = (lanes + LANES - 1) / LANES;
    for (int64_t v = 0; v < many; v++) {
        const int64_t at = k + v * LANES, l = sl_least(LANES, lanes - v * LANES);
        z[v] = F(get)(w->state + at, l), sum[v] = F(all)(0);
        if (same) given[v] = F(get)(y + at, l);
    }
    for (int64_t i = 0; i < w->steps; i++)
        for (int64_t v = 0; v < many; v++) {
            const int64_t at = k + v * LANES, l = sl_least(LANES, lanes - v * LANES);
            const R *from = x + i * s->x.time + at, *of = y + i * s->y.time + at;
            const V t = same ? given[v] : F(get)(of, l);
            __builtin_prefetch(from + SL_ABREAST * LANES);
            if (!same) __builtin_prefetch(of + SL_ABREAST * LANES);
            z[v] = F(fused)(w->decay, z[v], F(get)(from, l) - t);
            sum[v] = F(fused)(z[v], z[v], sum[v]);
        }
    for (int64_t v = 0; v < many; v++) {
        const int64_t at = k + v * LANES, l = sl_least(LANES, lanes - v * LANES);
        F(set)(w->state + at, z[v], l);
        for (int64_t i = 0; i < l; i++) w->total[at + i] += (double)sum[v][i];
    }
}

/* z of a tile, step by step, into rows */
INLINE void F(train_keep)(int same, const F(sl_tile) *s, const R *x, const R *y, int64_t width,
                          const F(train_way) *w) {
    R *state = w->state;
    for (int64_t i = 0; i < w->steps; i++) {
        const R *x_i = x + i * s->x.time, *y_i = same ? y : y + i * s->y.time;
        const int64_t x_ahead = s->x.time, y_ahead = same ? 0 : s->y.time;
        R *to = w->rows + i * w->row;
        SL_ALONG(width, {
            const V e = F(get)(x_i + k, l) - F(get)(y_i + k, l);
            const V z = F(fused)(w->decay, F(get)(state + k, l), e);
            __builtin_prefetch(x_i + k + x_ahead);
            if (!same) __builtin_prefetch(y_i + k + y_ahead);
            __builtin_prefetch(to + k + w->row, 1);
            F(set)(to + k, z, l);
            F(set)(state + k, z, l);
        });
    }
}

/* z goes on through a tile, of samples beside each other. */
INLINE void F(train_on)(int keeps, int same, const F(sl_tile) *s, int64_t j, int64_t width,
                        const F(train_way) *w) {
    enum { step = SL_ABREAST * LANES };
    if (!w->steps) return;
    const R *x = F(sl_x)(s, 0, j), *y = F(sl_y)(s, 0, j);
    if (keeps) {
        F(train_keep)(same, s, x, y, width, w);
        return;
    }
    int64_t k = 0;
    for (; k + step <= width; k += step) F(train_columns)(same, s, x, y, step, k, w);
    for (; k + LANES <= width; k += LANES) F(train_columns)(same, s, x, y, LANES, k, w);
    if (k < width) F(train_columns)(same, s, x, y, width - k, k, w);
}

/* A tile from z before it to z after it: sums up squares, or keeps every z. */
static void F(train_tile)(const F(sl_tile) *s, R decay, R *state, double *total,
                          const F(kept) *rows) {
    const int64_t n = s->n;
    for (int64_t j = 0, run; j < s->many; j += run) {
        run = rows && rows->sample != n ? 1 : F(sl_beside)(s, j, 0);
        F(train_way) w = {.steps = F(sl_steps_of)(s, j), .state = state + j * n};
        w.decay = F(all)(decay);
        if (rows) w.rows = rows->data + j * rows->sample, w.row = rows->time;
        else w.total = total + j * n;
        if (rows && s->y.time) F(train_on)(1, 0, s, j, run * n, &w);
        else if (rows) F(train_on)(1, 1, s, j, run * n, &w);
        else if (s->y.time) F(train_on)(0, 0, s, j, run * n, &w);
        else F(train_on)(0, 1, s, j, run * n, &w);
    }
}

static R F(train_decay)(const sl_call *c) { return (R)exp(-1 / c->option[0]); }

static void F(train_block)(void *work, int64_t block) {
    sl_job *job = work;
    F(sl_tile) s;
    const int64_t each = sizeof(double) / sizeof(R);
    const int64_t most = job->cut.samples * job->call->neurons;
    if (!F(sl_open)(&s, job, block, (most + 1) * each + most)) return;
    const int64_t here = s.many * s.n;
    double *total = (double *)(void *)s.more;
    R *state = (R *)(total + here), *out = (R *)s.call->out[0] + s.first * s.n;
    for (int64_t i = 0; i < here; i++) total[i] = 0, state[i] = 0;
    for (int64_t t = 0; t < s.call->steps; t += s.cut.steps) {
        F(sl_move)(&s, t, 1);
        F(train_tile)(&s, F(train_decay)(s.call), state, total, 0);
    }
    for (int64_t i = 0; i < here; i++) out[i] = (R)total[i];
    free(s.room);
}

/* g_t = 2 up z_t + a g_(t+1), of a sample in a tile, back in time, from rows of z */
INLINE void F(train_sweep)(const F(sl_tile) *s, int64_t j, int64_t width, R decay, R *state,
                           const R *rows, int64_t row) {
    const R *up = s->call->up[0];
    up += up ? (s->first + j) * s->n : 0;
    const int64_t steps = F(sl_steps_of)(s, j);
    R *grad = F(sl_grad)(s, 0, j);
    const V a = F(all)(decay);
    if (!steps) return;
    for (int64_t i = steps; i--;) {
        const R *z = rows + i * row;
        R *to = grad + i * s->grad.time;
        SL_ALONG(width, {
            const V scale = up ? F(get)(up + k, l) * 2 : F(all)(0);
            const V g = F(fused)(a, F(get)(state + k, l), scale * F(get)(z + k, l));
            F(set)(to + k, g, l);
            F(set)(state + k, g, l);
        });
    }
}

/* The tiles of a chunk: z forth, from `z` on, then the gradient back, down to `g`. */
static void F(train_chunk)(F(sl_tile) *s, int64_t from, int64_t to, R *z, R *g, R *room) {
    const sl_call *c = s->call;
    const int64_t n = s->n, direct = F(sl_direct)(&c->grad, n);
    const R decay = F(train_decay)(c);
    int64_t t = from;
    for (; t < to; t += s->cut.steps) {
        F(sl_move)(s, t, 1);
        const F(kept) rows = {room + (t - from) * s->many * n, s->many * n, n};
        F(train_tile)(s, decay, z, 0, direct ? &s->grad : &rows);
    }
    while ((t -= s->cut.steps) >= from) {
        F(sl_move)(s, t, 1);
        const F(kept) own = {room + (t - from) * s->many * n, s->many * n, n};
        const F(kept) rows = direct ? s->grad : own;
        for (int64_t j = 0, run; j < s->many; j += run) {
            run = rows.sample == n ? F(sl_beside)(s, j, 1) : 1;
            F(train_sweep)(s, j, run * n, decay, g + j * n, rows.data + j * rows.sample, rows.time);
        }
        F(sl_written)(s);
    }
}

static void F(train_back_block)(void *work, int64_t block) {
    sl_job *job = work;
    const sl_call *c = job->call;
    const int64_t each = job->cut.samples * c->neurons, direct = F(sl_direct)(&c->grad, c->neurons);
    int64_t deep = direct && each ? F(TRAIN_ENTRIES) / each : 0;
    if (deep < F(TRAIN_STEPS)) deep = F(TRAIN_STEPS);
    deep = (deep + job->cut.steps - 1) / job->cut.steps * job->cut.steps;
    const int64_t chunks = (c->steps + deep - 1) / deep;
    F(sl_tile) s;
    if (!F(sl_open)(&s, job, block, each * (1 + chunks + (direct ? 1 : deep)))) return;
    const int64_t here = s.many * s.n;
    R *g = s.more, *z = g + here, *room = z + chunks * here;
    for (int64_t i = 0; i < (1 + chunks) * here; i++) g[i] = 0;
    for (int64_t chunk = 1; chunk < chunks; chunk++) { /* z before each */
        R *state = memcpy(z + chunk * here, z + (chunk - 1) * here, (size_t)here * sizeof(R));
        const F(kept) nowhere = {room, 0, s.n};
        for (int64_t t = (chunk - 1) * deep; t < chunk * deep; t += s.cut.steps) {
            F(sl_move)(&s, t, 1);
            F(train_tile)(&s, F(train_decay)(c), state, 0, &nowhere);
        }
    }
    for (int64_t chunk = chunks; chunk--;) {
        const int64_t end = sl_least(c->steps, (chunk + 1) * deep);
        F(train_chunk)(&s, chunk * deep, end, z + chunk * here, g, room);
    }
    free(s.room);
}

static int64_t F(sl_train)(const sl_call *c) { return sl_by_block(c, F(train_block)); }
/* Fewer samples, so that z of all their steps stays in the cache on the way back */
static int64_t F(sl_train_back)(const sl_call *c) {
    const int64_t n = c->neurons ? c->neurons : 1, narrow = (255 + n) / n;
    const int64_t most = sl_cut_of(c).samples;
    int64_t samples = F(TRAIN_ENTRIES) / (n * (c->steps ? c->steps : 1));
    if (samples < narrow) samples = narrow;
    return sl_by_cut(c, sl_cut_by(c, sl_least(samples, most)), F(train_back_block));
}

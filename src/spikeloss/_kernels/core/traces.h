/* Readouts that keep time: decaying traces and moving windows. Included once for float and once for
 * double, after walk.h. */

#define SL_SHORT 32 /* tau up to which float carries a trace of float: it errs by up to 2^-24 tau */

/* A chain of filters, or two beside each other, whose states are double. */
typedef struct {
    double *state; /* (filters, cells) */
    double decay[2];
    int64_t filters, cells;
    int beside, backwards;
    R *carried; /* of one filter of R: (cells) */
} F(sl_trace);

/* y_t = decay y_(t-1) + x_t, of all filters, in one step of some cells */
static void F(filter)(const F(sl_trace) *f, double *state, const R *restrict x,
                      R *restrict z, int64_t cells) {
    const double slow = f->decay[0], fast = f->decay[1];
    double *other = state + f->cells;
    if (f->beside) {
        for (int64_t k = 0; k < cells; k++) {
            state[k] = slow * state[k] + (double)x[k];
            other[k] = fast * other[k] + (double)x[k];
            z[k] = (R)(state[k] - other[k]);
        }
        return;
    }
    if (f->filters == 2) {
        for (int64_t k = 0; k < cells; k++) {
            state[k] = slow * state[k] + (double)x[k];
            other[k] = slow * other[k] + state[k];
            z[k] = (R)other[k];
        }
        return;
    }
    for (int64_t k = 0; k < cells; k++) {
        state[k] = slow * state[k] + (double)x[k];
        z[k] = (R)state[k];
    }
    for (int64_t m = 1; m < f->filters; m++, state = other, other += f->cells)
        for (int64_t k = 0; k < cells; k++) {
            other[k] = slow * other[k] + state[k];
            z[k] = (R)other[k];
        }
}

static void F(filter_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                           int64_t t, int64_t cell, int64_t cells) {
    (void)t;
    const F(sl_trace) *f = state;
    for (int64_t i = 0; i < steps; i++) {
        const int64_t s = f->backwards ? steps - 1 - i : i;
        F(filter)(f, f->state + cell, x + s * time, z + s * to, cells);
    }
}

/* One filter of R; the decay as two numbers of R, whose sum it is. Both are above 0, so that what is
 * infinite stays so. */
static void F(trace_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                          int64_t t, int64_t cell, int64_t cells) {
    (void)t;
    const F(sl_trace) *f = state;
    const R large = sizeof(R) == 8 ? (R)nextafter(f->decay[0], 0) : (R)nextafterf((float)f->decay[0], 0);
    const R small = (R)(f->decay[0] - (double)large);
    const V high = F(all)(large), low = F(all)(small);
    const R *before = f->carried + cell; /* y of the step before, which is what was written last */
    for (int64_t i = 0; i < steps; i++) {
        const int64_t s = f->backwards ? steps - 1 - i : i;
        const R *from = x + s * time;
        R *row = z + s * to;
        int64_t k = 0;
        for (; k + LANES <= cells; k += LANES) {
            const V y = F(load)(before + k);
            F(store)(row + k, F(fused)(y, high, F(fused)(y, low, F(load)(from + k))));
        }
        if (k < cells) {
            const V y = F(load_n)(before + k, cells - k), v = F(load_n)(from + k, cells - k);
            F(store_n)(row + k, F(fused)(y, high, F(fused)(y, low, v)), cells - k);
        }
        before = row;
    }
    if (steps) memcpy(f->carried + cell, before, (size_t)cells * sizeof(R));
}

static void F(trace_walk)(void *work, int64_t block, int backwards) {
    const sl_block b = sl_block_of(work, block);
    const sl_call *c = b.call;
    const double tau = c->option[0], rise = c->option[2];
    F(sl_trace) f = {.filters = (int64_t)c->option[1], .cells = b.cells, .beside = rise != 0,
                     .backwards = backwards, .decay = {exp(-1 / tau), rise ? exp(-1 / rise) : 0}};
    if (f.beside) f.filters = 2;
    const int plain = f.filters == 1 && (sizeof(R) == 8 || tau <= SL_SHORT);
    const sl_array x = sl_part(backwards ? c->y : c->x, &b), z = sl_part(c->grad, &b);
    const F(sl_tour) tour = {&x, &z, backwards, 0, plain ? F(trace_tile) : F(filter_tile), &f};
    R *room;
    void *all = F(sl_scratch)(&tour, &b, f.filters * b.cells * 8, &room);
    if (!all) return;
    f.state = all, f.carried = all;
    memset(all, 0, (size_t)(f.filters * b.cells * 8));
    F(sl_each)(&tour, &b, room);
    free(all);
}

static void F(trace_block)(void *work, int64_t block) { F(trace_walk)(work, block, 0); }
static void F(trace_back_block)(void *work, int64_t block) { F(trace_walk)(work, block, 1); }

INLINE sl_walk F(trace_cut)(const sl_call *c) {
    const int64_t filters = c->option[2] != 0 ? 2 : (int64_t)c->option[1];
    return sl_walk_of(c, sl_more(SL_CELLS / sl_more(filters / 4, 1), 64), 0);
}

static int64_t F(trace)(const sl_call *c) {
    sl_walk w = F(trace_cut)(c);
    return sl_walked(&w, F(trace_block));
}

static int64_t F(trace_back)(const sl_call *c) {
    sl_walk w = F(trace_cut)(c);
    return sl_walked(&w, F(trace_back_block));
}

/* Means over a window. The steps are cut into stretches of its width: a window has the end of one
 * stretch, summed from there backwards, and the beginning of the next. Nothing is subtracted, so
 * that what has left a window leaves no trace. The derivative is the same sum in reversed time, of
 * what comes divided by the steps of its window. */
typedef struct {
    const sl_block *block;
    const sl_array *x, *z;
    int64_t width, longest, shortest;
    int backwards, flat; /* whether rows of z lie together, where they are to be */
    R *in, *out, *ends;  /* rows; of a stretch, sums from a step to its end */
    double *sum;
} F(sl_window);

/* The row of step t of a record, in which samples that have ended are 0. */
static const R *F(window_row)(const F(sl_window) *w, int64_t t) {
    const sl_block *b = w->block;
    const int64_t n = b->width;
    F(sl_rows) x = F(sl_load)(w->x, n, t, 1, b->first, b->many, w->in);
    if (t < w->shortest && (b->many == 1 || x.sample == n)) return x.data;
    for (int64_t j = 0; j < b->many; j++) {
        R *to = w->in + j * n;
        if (t >= sl_held(b->call, b->first + j)) memset(to, 0, (size_t)n * sizeof(R));
        else if (to != x.data + j * x.sample) memcpy(to, x.data + j * x.sample, (size_t)n * sizeof(R));
    }
    return w->in;
}

/* Where a sum to the end of a stretch waits for step t, whose window has it: where its mean is to
 * be, if rows lie together there. */
INLINE R *F(waiting)(const F(sl_window) *w, int64_t t, int64_t s) {
    if (!w->flat) return w->ends + s * w->block->cells;
    return (R *)w->z->data + t * w->z->time + w->block->first * w->z->sample;
}

/* Step s of a stretch that begins as many steps from the first, or in a derivative from the last */
INLINE int64_t F(window_step)(const F(sl_window) *w, int64_t start, int64_t s) {
    return w->backwards ? w->longest - 1 - start - s : start + s;
}

/* 1 / the steps of the window of step t */
INLINE double F(window_share)(const F(sl_window) *w, int64_t t) {
    return 1 / (double)sl_least(t + 1, w->width);
}

static void F(window_add)(double *restrict sum, const R *restrict x, double share, int64_t cells) {
    for (int64_t k = 0; k < cells; k++) sum[k] += share * (double)x[k];
}

static void F(window_mean)(const double *restrict sum, const R *ends, double share, R *to,
                           int64_t cells) {
    if (ends) /* which may be `to` */
        for (int64_t k = 0; k < cells; k++) to[k] = (R)((sum[k] + (double)ends[k]) * share);
    else
        for (int64_t k = 0; k < cells; k++) to[k] = (R)(sum[k] * share);
}

/* Sums from the steps of the stretch before to its end, where they wait for those of this one. */
static void F(window_ends)(const F(sl_window) *w, int64_t start) {
    const int64_t cells = w->block->cells;
    memset(w->sum, 0, (size_t)cells * 8);
    for (int64_t s = w->width - 1; s > 0; s--) {
        const int64_t t = F(window_step)(w, start - w->width, s);
        F(window_add)(w->sum, F(window_row)(w, t), w->backwards ? F(window_share)(w, t) : 1, cells);
        if (start + s - 1 < w->longest)
            F(window_mean)(w->sum, 0, 1, F(waiting)(w, F(window_step)(w, start, s - 1), s - 1), cells);
    }
}

static void F(window_stretch)(const F(sl_window) *w, int64_t start) {
    const sl_block *b = w->block;
    memset(w->sum, 0, (size_t)b->cells * 8);
    for (int64_t s = 0; s < sl_least(w->width, w->longest - start); s++) {
        const int64_t t = F(window_step)(w, start, s);
        const double share = F(window_share)(w, t);
        R *wait = F(waiting)(w, t, s), *to = w->flat ? wait : w->out;
        F(window_add)(w->sum, F(window_row)(w, t), w->backwards ? share : 1, b->cells);
        F(window_mean)(w->sum, start && s < w->width - 1 ? wait : 0, w->backwards ? 1 : share, to,
                       b->cells);
        for (int64_t j = 0; t >= w->shortest && j < b->many; j++)
            if (t >= sl_held(b->call, b->first + j))
                memset(to + j * b->width, 0, (size_t)b->width * sizeof(R));
        if (!w->flat) F(sl_put)(w->z, b->width, t, 1, b->first, b->many, w->out);
    }
}

static void F(window_walk)(void *work, int64_t block, int backwards) {
    const sl_block b = sl_block_of(work, block);
    const sl_call *c = b.call;
    const sl_array x = sl_part(backwards ? c->y : c->x, &b), z = sl_part(c->grad, &b);
    F(sl_window) w = {.block = &b, .x = &x, .z = &z, .shortest = c->steps, .backwards = backwards};
    w.flat = F(sl_direct)(&z, b.width) && (b.many == 1 || z.sample == b.width);
    for (int64_t j = 0; j < b.many; j++) {
        const int64_t held = sl_held(c, b.first + j);
        w.longest = sl_more(w.longest, held), w.shortest = sl_least(w.shortest, held);
    }
    w.width = sl_more(1, sl_least((int64_t)c->option[0], w.longest));
    const int64_t waiting = w.flat || w.width == w.longest ? 0 : w.width;
    w.sum = malloc((size_t)(b.cells * (8 + (waiting + 2) * (int64_t)sizeof(R))) + 8);
    if (!w.sum) {
        sl_report(work, SL_MEMORY);
        return;
    }
    w.in = (R *)(w.sum + b.cells), w.out = w.in + b.cells, w.ends = w.out + b.cells;
    sl_clear(&z, b.width, w.longest, c->steps - w.longest, b.first, b.many);
    for (int64_t start = 0; start < w.longest; start += w.width) {
        if (start) F(window_ends)(&w, start);
        F(window_stretch)(&w, start);
    }
    free(w.sum);
}

static void F(window_block)(void *work, int64_t block) { F(window_walk)(work, block, 0); }
static void F(window_back_block)(void *work, int64_t block) { F(window_walk)(work, block, 1); }

/* Fewer cells for a long window, whose sums may have to wait in memory of their own */
INLINE sl_walk F(window_cut)(const sl_call *c) {
    const int64_t width = sl_more(1, sl_least((int64_t)c->option[0], c->steps));
    return sl_walk_of(c, sl_more(64, sl_least(SL_CELLS, 64 * SL_CELLS / width)), 0);
}

static int64_t F(window)(const sl_call *c) {
    sl_walk w = F(window_cut)(c);
    return sl_walked(&w, F(window_block));
}

static int64_t F(window_back)(const sl_call *c) {
    sl_walk w = F(window_cut)(c);
    return sl_walked(&w, F(window_back_block));
}

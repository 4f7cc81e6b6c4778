/* The tiles of a block of samples, one after the other: record, target and gradient as rows.
 * Included once for float and once for double. */
#ifndef SL_TILES_ONCE
#define SL_TILES_ONCE
enum { SL_ABREAST = 4 }; /* vectors of a row that go through the steps together */

/* What the blocks of a call share. */
typedef struct {
    const sl_call *call;
    sl_cut cut;
    int64_t state; /* SL_OK, or SL_MEMORY from any of them */
} sl_job;

INLINE void sl_fail(sl_job *job) { __atomic_store_n(&job->state, SL_MEMORY, __ATOMIC_RELAXED); }

/* `samples` of them in a block, or about as many: multiples of 16, so that rows of a step start
 * where a vector does. */
static sl_cut sl_cut_by(const sl_call *c, int64_t samples) {
    sl_cut cut = sl_cut_of(c);
    cut.samples = samples < 8 ? samples : (samples + 8) / 16 * 16;
    if (cut.samples < 1) cut.samples = 1;
    if (cut.samples > c->samples) cut.samples = c->samples > 0 ? c->samples : 1;
    cut.blocks = (c->samples + cut.samples - 1) / cut.samples;
    return cut;
}

static int64_t sl_by_cut(const sl_call *c, sl_cut cut, sl_task task) {
    sl_job job = {c, cut, SL_OK};
    sl_share(task, &job, cut.blocks, sl_threads(c));
    return job.state;
}

/* A call of a criterion, block by block. */
static int64_t sl_by_block(const sl_call *c, sl_task task) {
    return sl_by_cut(c, sl_cut_by(c, sl_cut_of(c).samples), task);
}
#endif

typedef struct {
    R *data;
    int64_t time, sample;
} F(sl_out_rows);

typedef struct {
    const sl_call *call;
    sl_cut cut;
    int64_t n, first, many;      /* samples first.. of the call */
    int64_t t, steps, held, least; /* the tile: its steps, those that some sample has, that all */
    F(sl_rows) x, y;             /* y: of a target of numbers */
    F(sl_out_rows) grad;
    R *room, *y_room, *grad_room, *more; /* more: of the caller */
} F(sl_tile);

/* Whether the rows of an array are read and written where they lie. */
INLINE int F(sl_direct_rows)(const sl_array *a, int64_t n) {
    return !a->data || F(sl_direct)(a, n);
}

/* The first tile is yet to come. 0 where there is no memory. */
static int F(sl_open)(F(sl_tile) *s, sl_job *job, int64_t block, int64_t more) {
    const sl_call *c = job->call;
    *s = (F(sl_tile)){.call = c, .cut = job->cut, .n = c->neurons};
    s->first = block * s->cut.samples;
    s->many = sl_least(s->cut.samples, c->samples - s->first);
    /* Memory that is not asked for costs no pages. */
    const int64_t tile = s->cut.steps * s->many * s->n, labels = c->op % SL_BACKWARD == SL_CE;
    const int64_t y_at = F(sl_direct_rows)(&c->x, s->n) ? 0 : tile;
    const int64_t grad_at = y_at + (F(sl_direct_rows)(&c->y, s->n) || labels ? 0 : tile);
    const int64_t more_at = grad_at + (F(sl_direct_rows)(&c->grad, s->n) ? 0 : tile);
    s->room = malloc((size_t)(more_at + more + 64) * sizeof(R));
    if (!s->room) return sl_fail(job), 0;
    s->y_room = s->room + y_at;
    s->grad_room = s->room + grad_at;
    s->more = (R *)(((uintptr_t)(s->room + more_at) + 63) & ~(uintptr_t)63);
    return 1;
}

/* The valid steps of sample j of the tile */
INLINE int64_t F(sl_steps_of)(const F(sl_tile) *s, int64_t j) {
    const int64_t left = sl_held(s->call, s->first + j) - s->t;
    return left < 0 ? 0 : sl_least(left, s->steps);
}

/* Goes to the tile from step t on, the target being numbers or not. */
static void F(sl_move)(F(sl_tile) *s, int64_t t, int numbers) {
    const sl_call *c = s->call;
    s->t = t;
    s->steps = sl_least(s->cut.steps, c->steps - t);
    s->held = c->lengths ? 0 : s->steps;
    s->least = s->steps;
    for (int64_t j = 0; c->lengths && j < s->many; j++) {
        const int64_t held = F(sl_steps_of)(s, j);
        if (held > s->held) s->held = held;
        if (held < s->least) s->least = held;
    }
    s->x = F(sl_load)(&c->x, s->n, t, s->held, s->first, s->many, s->room);
    if (numbers && (c->y.time || t == 0)) {
        const int64_t held = c->y.time ? s->held : sl_least(1, c->steps);
        s->y = F(sl_load)(&c->y, s->n, t, held, s->first, s->many, s->y_room);
        if (!c->y.time) s->y.time = 0;
    }
    if (F(sl_direct)(&c->grad, s->n)) {
        R *data = (R *)c->grad.data + t * c->grad.time + s->first * c->grad.sample;
        s->grad = (F(sl_out_rows)){data, c->grad.time, c->grad.sample};
    } else s->grad = (F(sl_out_rows)){s->grad_room, s->many * s->n, s->n};
}

INLINE const R *F(sl_x)(const F(sl_tile) *s, int64_t i, int64_t j) {
    return s->x.data + i * s->x.time + j * s->x.sample;
}
INLINE const R *F(sl_y)(const F(sl_tile) *s, int64_t i, int64_t j) {
    return s->y.data + i * s->y.time + j * s->y.sample;
}
INLINE R *F(sl_grad)(const F(sl_tile) *s, int64_t i, int64_t j) {
    return s->grad.data + i * s->grad.time + j * s->grad.sample;
}

/* The gradient of the tile is written, but for steps that are not valid. */
static void F(sl_written)(F(sl_tile) *s) {
    const sl_call *c = s->call;
    const int beside = s->grad.sample == s->n;
    for (int64_t i = s->least; i < s->steps; i++)
        for (int64_t j = 0, end; j < s->many; j = end) {
            end = j + 1;
            if (i < F(sl_steps_of)(s, j)) continue;
            while (beside && end < s->many && (i >= s->held || i >= F(sl_steps_of)(s, end))) end++;
            memset(F(sl_grad)(s, i, j), 0, (size_t)((end - j) * s->n) * sizeof(R));
        }
    if (!F(sl_direct)(&c->grad, s->n))
        F(sl_put)(&c->grad, s->n, s->t, s->steps, s->first, s->many, s->grad.data);
}

/* How many samples from j on lie beside each other and have as many valid steps, so that their
 * rows can be taken for one. */
INLINE int64_t F(sl_beside)(const F(sl_tile) *s, int64_t j, int with_grad) {
    const int64_t held = F(sl_steps_of)(s, j);
    int64_t end = j + 1;
    if (s->x.sample != s->n || s->y.sample != s->n || (with_grad && s->grad.sample != s->n))
        return 1;
    if (s->least == s->steps) return s->many - j;
    while (end < s->many && F(sl_steps_of)(s, end) == held) end++;
    return end - j;
}

/* The gradient of the i-th total of the block; 0 if there is none. */
INLINE R F(sl_up)(const F(sl_tile) *s, int64_t i) {
    const R *up = s->call->up[0];
    return up ? up[i] : 0;
}

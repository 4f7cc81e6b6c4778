/* Derivatives of readouts that pick steps: zeros, and few numbers in them. Included once for float
 * and once for double, after picks.h. */

typedef struct {
    sl_array grad; /* of the neurons of the block */
    const sl_call *call;
    const sl_block *block;
} F(sl_spread);

INLINE F(sl_spread) F(zeros)(const sl_block *b) {
    const sl_call *c = b->call;
    F(sl_spread) s = {sl_part(c->grad, b), c, b};
    if (!c->option[3]) sl_clear(&s.grad, b->width, 0, c->steps, b->first, b->many);
    return s;
}

/* Adds up what comes for one step of a cell, and then what comes for others. Entries of a type that
 * rounds are written once each, if equal steps follow each other. */
typedef struct {
    int64_t step;
    R sum;
} F(sl_pending);

INLINE void F(flush)(const F(sl_spread) *s, F(sl_pending) *p, int64_t j, int64_t k) {
    if (p->step >= 0) F(sl_set)(&s->grad, p->step, s->block->first + j, k, p->sum);
}

INLINE void F(give)(const F(sl_spread) *s, F(sl_pending) *p, int64_t j, int64_t k, int64_t step,
                    R up) {
    if (step == p->step) {
        p->sum += up;
        return;
    }
    F(flush)(s, p, j, k);
    p->step = step, p->sum = up;
}

/* up times `by` to the step that is picked, of each of `spikes` outputs */
static void F(pick_back)(void *work, int64_t block, int from, int64_t spikes, int steps_in, R by) {
    const sl_block b = sl_block_of(work, block);
    const sl_call *c = b.call;
    const F(sl_spread) s = F(zeros)(&b);
    const R *up = c->up[from];
    const int32_t *step = c->out[steps_in];
    if (!up) return;
    const int64_t stride = c->samples * c->neurons;
    for (int64_t j = 0, i = b.at; j < b.many; j++)
        for (int64_t k = 0; k < b.width; k++, i++) {
            F(sl_pending) p = {-1, 0};
            for (int64_t f = 0; f < spikes; f++)
                if (step[f * stride + i] >= 0)
                    F(give)(&s, &p, j, k, step[f * stride + i], by * up[f * stride + i]);
            F(flush)(&s, &p, j, k);
        }
}

static void F(max_back_block)(void *work, int64_t block) { F(pick_back)(work, block, 0, 1, 1, 1); }

static int64_t F(max_back)(const sl_call *c) { /* of the last step too */
    return sl_by_cells(c, F(max_back_block));
}

static void F(spikes_back_block)(void *work, int64_t block) {
    const sl_call *c = ((const sl_walk *)work)->call;
    F(pick_back)(work, block, 1, (int64_t)c->option[0], 2, 1);
}

static void F(first_back_block)(void *work, int64_t block) {
    const sl_call *c = ((const sl_walk *)work)->call;
    F(pick_back)(work, block, 0, 1, 1, -(R)c->option[0]);
}

static int64_t F(first_back)(const sl_call *c) {
    return sl_by_cells(c, F(first_back_block));
}

static int64_t F(spikes_back)(const sl_call *c) {
    return sl_by_cells(c, F(spikes_back_block));
}

/* The derivative of a soft count at its spikes, which are listed once more. */
INLINE void F(soft_give)(F(sl_found) *f, int64_t cell, int64_t k, int64_t t, R x) {
    const F(sl_soft) *s = (const F(sl_soft) *)f;
    const int64_t j = cell / s->block->width;
    const double slope = F(soft_weight)(s, j, t, x) + (k ? 0 : s->latency);
    F(sl_set)(&s->grad, t, s->block->first + j, cell % s->block->width, (R)slope * s->up[cell]);
}

static void F(soft_back_tile)(void *state, const R *x, int64_t time, R *z, int64_t to,
                              int64_t steps, int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    F(list_cells_of)(state, x, time, steps, t, cell, cells, F(soft_give));
}

/* That of a silent neuron lies at the last step. */
static void F(soft_back_end)(const sl_block *b, F(sl_found) *f) {
    const F(sl_soft) *s = (const F(sl_soft) *)f;
    const int32_t *count = f->room;
    for (int64_t j = 0, i = 0; j < b->many; j++) {
        const int64_t held = sl_held(b->call, b->first + j);
        for (int64_t k = 0; k < b->width; k++, i++)
            if (held && !count[i])
                F(sl_set)(&s->grad, held - 1, b->first + j, k, (R)s->latency * s->up[i]);
    }
}

static void F(soft_back_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    const R *up = b.call->up[0];
    const sl_array grad = F(zeros)(&b).grad;
    if (!up) return;
    F(sl_soft) s = {.found = {.end = F(soft_back_end)}, .grad = grad, .up = up + b.at};
    F(list_soft)(&b, &s, F(soft_back_tile));
}

static int64_t F(soft_back)(const sl_call *c) {
    return F(by_soft)(c, F(soft_back_block), 1);
}

/* d/da and d/db of (h - a) / (b - a), and the maximum; in the order of steps. */
static void F(cross_back_cell)(const F(sl_spread) *s, int64_t j, int64_t k, int64_t i) {
    const sl_call *c = s->call;
    const R *time = c->up[0], *top = c->up[1];
    const int64_t crossed = ((const int32_t *)c->out[2])[i], best = ((const int32_t *)c->out[3])[i];
    R before = 0, after = 0, most = top && best >= 0 ? top[i] : 0;
    if (time && crossed >= 0) {
        F(sl_crossing) m = F(crossing)(c, crossed, s->block->first + j, s->block->neuron + k);
        const R share = ((R)c->option[0] - m.before) / m.rise;
        const int rises = m.after > m.before;
        before = time[i] * (rises ? (share - 1) / m.rise : -1);
        after = rises ? -time[i] * share / m.rise : 0;
    }
    F(sl_pending) p = {-1, 0};
    const int early = best >= 0 && best < crossed;
    if (best >= 0 && (early || crossed < 0)) F(give)(s, &p, j, k, best, most);
    if (crossed > 0) F(give)(s, &p, j, k, crossed - 1, before);
    if (crossed >= 0) F(give)(s, &p, j, k, crossed, after);
    if (best >= crossed && crossed >= 0) F(give)(s, &p, j, k, best, most);
    F(flush)(s, &p, j, k);
}

static void F(cross_back_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    const F(sl_spread) s = F(zeros)(&b);
    for (int64_t j = 0, i = b.at; j < b.many; j++)
        for (int64_t k = 0; k < b.width; k++, i++) F(cross_back_cell)(&s, j, k, i);
}

static int64_t F(cross_back)(const sl_call *c) {
    return sl_by_cells(c, F(cross_back_block));
}

static void F(peak_back_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    const F(sl_spread) s = F(zeros)(&b);
    const R *up = b.call->up[1];
    if (!up) return;
    for (int64_t j = 0, i = b.at; j < b.many; j++) {
        const int64_t held = sl_held(b.call, b.first + j);
        for (int64_t k = 0; k < b.width; k++, i++) {
            const int64_t step = ((const int32_t *)b.call->out[3])[i];
            const int64_t end = sl_least(step + (int64_t)sl_least((int64_t)b.call->option[0], held), held);
            for (int64_t t = step; step >= 0 && t < end; t++)
                F(sl_set)(&s.grad, t, b.first + j, k, up[i]);
        }
    }
}

static int64_t F(peak_back)(const sl_call *c) {
    return sl_by_cells(c, F(peak_back_block));
}

/* Readouts that sum over time: of the entries, of their exponentials, of votes. Included once for
 * float and once for double, after walk.h. */

/* Sums of the cells of a block in double, that begin as 0, and what else a kernel carries. */
typedef struct {
    double *sum;
    R *top;
    const double *weight; /* of a step from the first of a tile */
    const R *up;
    double rate;
    int64_t neurons, rows; /* of votes: of a row; rows at once */
    R *room;
} F(sl_sums);

INLINE void F(sum_cells)(const F(sl_sums) *s, const R *x, int64_t time, int64_t steps,
                         double factor, const double *weight, int64_t cell, int64_t n) {
    V even = {0}, odd = {0};
    int64_t i = 0;
    if (weight) {
        for (; i < steps; i++)
            even = F(fused)(F(load_n)(x + i * time, n), F(all)((R)weight[i]), even);
        for (int64_t l = 0; l < n; l++) s->sum[cell + l] += factor * (double)even[l];
        return;
    }
    for (; i + 2 <= steps; i += 2) {
        even += F(load_n)(x + i * time, n);
        odd += F(load_n)(x + (i + 1) * time, n);
    }
    if (i < steps) even += F(load_n)(x + i * time, n);
    even += odd;
    for (int64_t l = 0; l < n; l++) s->sum[cell + l] += (double)even[l];
}

static void F(sum_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                        int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    const F(sl_sums) *s = state;
    for (int64_t i = 0; i < steps; i += SL_STEPS) {
        const int64_t now = sl_least(SL_STEPS, steps - i);
        const R *from = x + i * time;
        const double factor = s->weight ? exp(-(double)(t + i) / s->rate) : 1;
        int64_t k = 0;
        for (; k + LANES <= cells; k += LANES)
            F(sum_cells)(s, from + k, time, now, factor, s->weight, cell + k, LANES);
        if (k < cells) F(sum_cells)(s, from + k, time, now, factor, s->weight, cell + k, cells - k);
    }
}

/* A tour from the record to sums, then to out[at] */
static void F(reduce)(const sl_block *b, F(sl_visit) visit, F(sl_sums) *s, int at, int64_t more) {
    const sl_array x = sl_part(b->call->x, b);
    const F(sl_tour) tour = {&x, 0, 0, 0, visit, s};
    R *room, *out = (R *)b->call->out[at] + b->at;
    s->sum = F(sl_scratch)(&tour, b, b->cells * 8 + more * (int64_t)sizeof(R), &room);
    if (!s->sum) return;
    s->room = (R *)(s->sum + b->cells);
    memset(s->sum, 0, (size_t)b->cells * 8);
    F(sl_each)(&tour, b, room);
    for (int64_t i = 0; i < b->cells; i++) out[i] = (R)s->sum[i];
    free(s->sum);
}

/* A tour that writes the gradient, from the record or from nothing */
static void F(derive)(const sl_block *b, F(sl_visit) visit, F(sl_sums) *s, int reads, int64_t more) {
    const sl_array x = sl_part(b->call->x, b), grad = sl_part(b->call->grad, b);
    const F(sl_tour) tour = {reads ? &x : 0, &grad, 0, 0, visit, s};
    R *room;
    if (!s->up) {
        sl_clear(&grad, b->width, 0, b->call->steps, b->first, b->many);
        return;
    }
    s->room = F(sl_scratch)(&tour, b, more * (int64_t)sizeof(R), &room);
    if (!s->room) return;
    F(sl_each)(&tour, b, room);
    free(s->room);
}

/* Weights of the first steps of a tile */
static void F(fading)(const sl_call *c, F(sl_sums) *s, double *weight) {
    s->rate = c->option[0];
    if (s->rate == 0) return;
    for (int64_t i = 0; i < SL_STEPS; i++) weight[i] = exp(-(double)i / s->rate);
    s->weight = weight;
}

static void F(sum_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    double weight[SL_STEPS];
    F(sl_sums) s = {0};
    F(fading)(b.call, &s, weight);
    F(reduce)(&b, F(sum_tile), &s, 0, 0);
}

static int64_t F(sum)(const sl_call *c) {
    return sl_by_cells(c, F(sum_block));
}

static void F(sum_back_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                             int64_t t, int64_t cell, int64_t cells) {
    (void)x, (void)time;
    const F(sl_sums) *s = state;
    const R *up = s->up + cell;
    double factor = 1;
    for (int64_t i = 0; i < steps; i++, z += to) {
        if (!s->weight) {
            memcpy(z, up, (size_t)cells * sizeof(R));
            continue;
        }
        if (i % SL_STEPS == 0) factor = exp(-(double)(t + i) / s->rate);
        const R weight = (R)(factor * s->weight[i % SL_STEPS]);
        for (int64_t k = 0; k < cells; k++) z[k] = weight * up[k];
    }
}

static void F(sum_back_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    double weight[SL_STEPS];
    F(sl_sums) s = {.up = b.call->up[0] ? (const R *)b.call->up[0] + b.at : 0};
    F(fading)(b.call, &s, weight);
    F(derive)(&b, F(sum_back_tile), &s, 0, 0);
}

static int64_t F(sum_back)(const sl_call *c) {
    return sl_by_cells(c, F(sum_back_block));
}

/* The highest exponent, 0 where it is infinite */
INLINE V F(finite_top)(V top) {
    return F(pick)((VI)(top == F(all)((R)INFINITY)) | (VI)(top == F(all)(-(R)INFINITY)), (V){0},
                   top);
}

/* Exponentials less those of the highest so far: a higher one scales what was before. */
static void F(lse_with_care)(const F(sl_sums) *s, const R *x, int64_t time, int64_t steps, int64_t t,
                         int64_t cell, int64_t n) {
    const V k = F(all)((R)s->rate);
    V top = F(load_n)(s->top + cell, n), before = top, part = {0};
    for (int64_t i = 0; i < steps; i++) {
        V v = k * F(load_n)(x + i * time, n);
        VI new = ~(VI)(v <= top) & (VI)(top == top);
        top = F(pick)(new, v, top);
    }
    const V shift = F(finite_top)(top);
    for (int64_t i = 0; i < steps; i++) part += F(e_to)(k * F(load_n)(x + i * time, n) - shift);
    if (F(lanes)(F(differ)(before, top)) && t) {
        V fade = F(e_to)(F(pick)((VI)(before == top), (V){0}, before - shift));
        for (int64_t l = 0; l < n; l++) s->sum[cell + l] *= (double)fade[l];
    }
    F(store_n)(s->top + cell, top, n);
    for (int64_t l = 0; l < n; l++) s->sum[cell + l] += (double)part[l];
}

INLINE void F(lse_cells)(const F(sl_sums) *s, const R *x, int64_t time, int64_t steps, int64_t t,
                         int64_t cell, int64_t n) {
    const V k = F(all)((R)s->rate), before = F(load_n)(s->top + cell, n);
    V most = F(load_n)(x, n), part = {0}, rest = {0};
    for (int64_t i = 1; i < steps; i++) most = F(larger)(F(load_n)(x + i * time, n), most);
    const V top = F(larger)(k * most, before);
    int64_t i = 0;
    for (; i + 2 <= steps; i += 2) {
        part += F(e_down)(F(fused)(k, F(load_n)(x + i * time, n), -top));
        rest += F(e_down)(F(fused)(k, F(load_n)(x + (i + 1) * time, n), -top));
    }
    if (i < steps) part += F(e_down)(F(fused)(k, F(load_n)(x + i * time, n), -top));
    part += rest;
    if (F(lanes)(F(either_nan)(part, part))) { /* or the top is infinite */
        F(lse_with_care)(s, x, time, steps, t, cell, n);
        return;
    }
    if (F(lanes)(F(differ)(before, top))) {
        const V fade = F(e_down)(before - top);
        for (int64_t l = 0; l < n; l++) s->sum[cell + l] *= (double)fade[l];
        F(store_n)(s->top + cell, top, n);
    }
    for (int64_t l = 0; l < n; l++) s->sum[cell + l] += (double)part[l];
}

static void F(lse_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                        int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    for (int64_t i = 0; i < steps; i += SL_STEPS) {
        const int64_t now = sl_least(SL_STEPS, steps - i);
        const R *from = x + i * time;
        int64_t k = 0;
        for (; k + LANES <= cells; k += LANES)
            F(lse_cells)(state, from + k, time, now, t + i, cell + k, LANES);
        if (k < cells) F(lse_cells)(state, from + k, time, now, t + i, cell + k, cells - k);
    }
}

static void F(lse_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    F(sl_sums) s = {.top = (R *)b.call->out[0] + b.at, .rate = b.call->option[0]};
    for (int64_t i = 0; i < b.cells; i++) s.top[i] = -(R)INFINITY;
    F(reduce)(&b, F(lse_tile), &s, 1, 0);
}

static int64_t F(lse)(const sl_call *c) {
    return sl_by_cells(c, F(lse_block));
}

INLINE V F(lse_slope)(V x, V top, V up, V k) {
    return k * up * F(e_down)(F(fused)(k, x, -top));
}

/* One row; whether a top in it is not finite, so that the row is wrong */
static int F(lse_back_row)(const F(sl_sums) *s, const R *x, R *z, int64_t cell, int64_t cells) {
    const R *top = s->top + cell, *up = s->up + cell;
    const V rate = F(all)((R)s->rate);
    V odd = {0};
    int64_t k = 0;
    for (; k + LANES <= cells; k += LANES) {
        const V high = F(load)(top + k);
        odd = F(suspect)(high, odd);
        F(store)(z + k, F(lse_slope)(F(load)(x + k), high, F(load)(up + k), rate));
    }
    if (k < cells) {
        const int64_t n = cells - k;
        const V high = F(load_n)(top + k, n), v = F(load_n)(x + k, n);
        odd = F(suspect)(high, odd);
        F(store_n)(z + k, F(lse_slope)(v, high, F(load_n)(up + k, n), rate), n);
    }
    return F(lanes)(F(either_nan)(odd, odd)) != 0;
}

static void F(lse_back_with_care)(const F(sl_sums) *s, const R *x, R *z, int64_t cell,
                                  int64_t cells) {
    const V rate = F(all)((R)s->rate);
    for (int64_t k = 0; k < cells; k += LANES) {
        const int64_t n = sl_least(LANES, cells - k);
        const V shift = F(finite_top)(F(load_n)(s->top + cell + k, n));
        const V e = F(e_to)(rate * F(load_n)(x + k, n) - shift);
        F(store_n)(z + k, rate * F(load_n)(s->up + cell + k, n) * e, n);
    }
}

static void F(lse_back_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                             int64_t t, int64_t cell, int64_t cells) {
    (void)t;
    for (int64_t i = 0; i < steps; i++, x += time, z += to)
        if (F(lse_back_row)(state, x, z, cell, cells))
            F(lse_back_with_care)(state, x, z, cell, cells);
}

static void F(lse_back_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    F(sl_sums) s = {.top = (R *)b.call->out[0] + b.at, .rate = b.call->option[0],
                    .up = b.call->up[1] ? (const R *)b.call->up[1] + b.at : 0};
    F(derive)(&b, F(lse_back_tile), &s, 1, 0);
}

static int64_t F(lse_back)(const sl_call *c) {
    return sl_by_cells(c, F(lse_back_block));
}

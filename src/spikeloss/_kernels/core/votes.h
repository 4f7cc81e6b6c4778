/* Votes: the softmax of every step, summed over time. Included once for float and once for double,
 * after sums.h. */

/* softmax(x) of one row of n, in `p`, which has room for whole vectors */
static void F(softmax_row)(const R *x, int64_t n, R *p) {
    V top = F(all)(-(R)INFINITY), sum = {0};
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES) top = F(most)(F(load)(x + k), top);
    R most = -(R)INFINITY;
    for (int64_t l = 0; l < LANES; l++) most = top[l] > most ? top[l] : most;
    for (int64_t l = k; l < n; l++) most = x[l] > most ? x[l] : most;
    const V shift = F(all)(most);
    for (k = 0; k + LANES <= n; k += LANES) {
        V e = F(e_to)(F(load)(x + k) - shift);
        sum += e;
        F(store)(p + k, e);
    }
    if (k < n) {
        F(store)(p + k, F(e_to)(F(load_low)(x + k, n - k) - shift));
        sum += F(load_n)(p + k, n - k);
    }
    /* nan where one is nan or none is finite, as infinity less infinity is; of infinity too */
    const V all = F(all)(F(total)(sum));
    for (k = 0; k < n; k += LANES) F(store)(p + k, F(load)(p + k) / all);
}

INLINE int64_t F(whole)(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

/* The highest number of some rows */
static V F(rows_top)(const R *x, int64_t time, int64_t steps, int64_t n) {
    V top = F(all)(-(R)INFINITY);
    for (int64_t i = 0; i < steps; i++, x += time) {
        int64_t k = 0;
        for (; k + LANES <= n; k += LANES) top = F(larger)(F(load)(x + k), top);
        if (k < n) top = F(larger)(F(load_low)(x + k, n - k), top);
    }
    return F(all)(F(highest)(top));
}

/* Powers of a row less `top` in `e`, 0 at its end, and their sum in lanes */
INLINE V F(e_down_row)(const R *x, int64_t n, V top, R *e) {
    V sum = {0};
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES) {
        const V p = F(e_down)(F(load)(x + k) - top);
        F(store)(e + k, p);
        sum += p;
    }
    if (k == n) return sum;
    const V p = F(e_down)(F(load_low)(x + k, n - k) - top);
    F(store)(e + k, p);
    return sum + p;
}

/* Softmax of some rows of one sample, as exponentials in `e`, rows `wide` apart, and what each row
 * is to be multiplied by. They are less the highest of all rows, which shifts none too far; a row
 * so far below that it loses numbers is done by itself. */
static void F(softmax_rows)(const R *x, int64_t time, int64_t steps, int64_t n, R *e, int64_t wide,
                            R *share) {
    const V top = F(rows_top)(x, time, steps, n);
    const V least = F(all)(sizeof(R) == 8 ? (R)1e-30 : (R)1e-9), most = F(all)((R)1e30);
    for (int64_t i = 0; i < steps; i += LANES) {
        V sum[sizeof(V) / sizeof(R)];
        for (int64_t a = 0; a < LANES; a++)
            sum[a] = i + a < steps ? F(e_down_row)(x + (i + a) * time, n, top, e + (i + a) * wide)
                                   : (V){1};
        const V all = F(totals)(sum);
        F(store)(share + i, 1 / all);
        int64_t odd = ~F(lanes)(F(reaches)(all, least) & F(above)(most, all)) & ((1 << LANES) - 1);
        for (; odd; odd &= odd - 1) {
            const int64_t a = i + __builtin_ctzll((uint64_t)odd);
            F(softmax_row)(x + a * time, n, e + a * wide), share[a] = 1;
        }
    }
}

/* Rows at once, and room for what is found of each sample */
INLINE int64_t F(rows_of)(const sl_block *b) { return sl_least(SL_STEPS, b->steps); }

static void F(votes_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                          int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to, (void)t;
    const F(sl_sums) *s = state;
    const int64_t n = s->neurons, wide = F(whole)(n);
    R share[SL_STEPS], *e = s->room, *sum = e + s->rows * wide;
    for (int64_t j = 0; j < cells; j += n)
        for (int64_t i = 0; i < steps; i += s->rows) {
            const int64_t rows = sl_least(s->rows, steps - i);
            F(softmax_rows)(x + i * time + j, time, rows, n, e, wide, share);
            for (int64_t k = 0; k < wide; k += LANES) {
                V part = F(load)(e + k) * F(all)(share[0]);
                for (int64_t a = 1; a < rows; a++)
                    part = F(fused)(F(load)(e + a * wide + k), F(all)(share[a]), part);
                F(store)(sum + k, part);
            }
            for (int64_t k = 0; k < n; k++) s->sum[cell + j + k] += (double)sum[k];
        }
}

static void F(votes_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    F(sl_sums) s = {.neurons = b.width, .rows = F(rows_of)(&b)};
    F(reduce)(&b, F(votes_tile), &s, 0, (s.rows + 1) * F(whole)(b.width));
}

static int64_t F(votes)(const sl_call *c) {
    sl_walk w = sl_walk_of(c, SL_CELLS, 1);
    return sl_walked(&w, F(votes_block));
}

/* sum_k e_k up_k in lanes; e is 0 at its end */
INLINE V F(dot_row)(const R *e, const R *up, int64_t n) {
    V sum = {0};
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES) sum = F(fused)(F(load)(e + k), F(load)(up + k), sum);
    return k == n ? sum : F(fused)(F(load_n)(e + k, n - k), F(load_n)(up + k, n - k), sum);
}

/* p (up - sum_k p_k up_k) of a row */
INLINE void F(votes_back_row)(const R *e, R share, R mean, const R *up, R *row, int64_t n) {
    const V each = F(all)(share), less = F(all)(mean);
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        F(store)(row + k, F(load)(e + k) * each * (F(load)(up + k) - less));
    if (k < n)
        F(store_n)(row + k, F(load)(e + k) * each * (F(load_n)(up + k, n - k) - less), n - k);
}

static void F(votes_back_rows)(const R *e, int64_t wide, const R *share, int64_t rows, const R *up,
                               R *z, int64_t to, int64_t n) {
    R mean[SL_STEPS];
    for (int64_t i = 0; i < rows; i += LANES) {
        V sum[sizeof(V) / sizeof(R)];
        for (int64_t a = 0; a < LANES; a++)
            sum[a] = i + a < rows ? F(dot_row)(e + (i + a) * wide, up, n) : (V){0};
        F(store)(mean + i, F(totals)(sum) * F(load)(share + i));
    }
    for (int64_t a = 0; a < rows; a++)
        F(votes_back_row)(e + a * wide, share[a], mean[a], up, z + a * to, n);
}

static void F(votes_back_tile)(void *state, const R *x, int64_t time, R *z, int64_t to,
                               int64_t steps, int64_t t, int64_t cell, int64_t cells) {
    (void)t;
    const F(sl_sums) *s = state;
    const int64_t n = s->neurons, wide = F(whole)(n);
    R share[SL_STEPS], *e = s->room;
    for (int64_t j = 0; j < cells; j += n)
        for (int64_t i = 0; i < steps; i += s->rows) {
            const int64_t rows = sl_least(s->rows, steps - i);
            F(softmax_rows)(x + i * time + j, time, rows, n, e, wide, share);
            F(votes_back_rows)(e, wide, share, rows, s->up + cell + j, z + i * to + j, to, n);
        }
}

static void F(votes_back_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    F(sl_sums) s = {.neurons = b.width, .rows = F(rows_of)(&b),
                    .up = b.call->up[0] ? (const R *)b.call->up[0] + b.at : 0};
    F(derive)(&b, F(votes_back_tile), &s, 1, s.rows * F(whole)(b.width));
}

static int64_t F(votes_back)(const sl_call *c) {
    sl_walk w = sl_walk_of(c, SL_CELLS, 1);
    return sl_walked(&w, F(votes_back_block));
}

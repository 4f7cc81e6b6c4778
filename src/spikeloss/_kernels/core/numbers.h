/* Criteria of numbers, entry by entry: squared error, binary cross-entropy, Poisson likelihood.
 * Included once for float and once for double. */
#ifndef SL_NUMBERS_ONCE
#define SL_NUMBERS_ONCE
enum { SL_SE_SHAPED = SL_OPS }; /* the squared error with a tolerance, or linear from delta on */
#endif

typedef struct {
    R a, b;
} F(sl_options);

INLINE V F(sl_value)(int op, V x, V y, F(sl_options) o) {
    if (op == SL_POISSON) return F(exp)(x) - y * x;
    if (op == SL_BCE) {
        const V a = (x - o.b) * o.a;
        return F(pick)(a >= 0, F(all)(1) - y, -y) * a; /* and log(1 + e^-|a|) */
    }
    const V error = x - y;
    if (op == SL_SE) return error * error;
    const V size = F(size)(error), far = (size * 2 - o.b) * o.b;
    const VI near = (size <= o.b) | (VI)(F(all)(o.b) == 0);
    return F(only)(~(size < o.a), F(pick)(near, error * error, far));
}

INLINE V F(sl_slope)(int op, V x, V y, F(sl_options) o) {
    if (op == SL_POISSON) return F(exp)(x) - y;
    if (op == SL_BCE) {
        /* p - y, p = 1 / (1 + e^-a), whose small part keeps its digits where y is sure */
        const V a = (x - o.b) * o.a, e = F(exp_below)(-F(size)(a)), small = e / (e + 1);
        const VI above = a > 0;
        const V p = F(pick)(above, F(all)(1) - y, -y);
        return (p + F(pick)(above, -small, small)) * o.a;
    }
    const V error = x - y;
    if (op == SL_SE) return error + error;
    const V size = F(size)(error);
    const V far = F(pick)(error > 0, F(all)(2 * o.b), F(all)(-2 * o.b));
    const V bent = F(pick)(error != error, error, far);
    const VI near = (size <= o.b) | (VI)(F(all)(o.b) == 0);
    return F(only)(~(size < o.a), F(pick)(near, error + error, bent));
}

/* prod_i (1 + e^-|a_i|) - 1, with its digits: the sum of logarithms needs one of them in the end */
INLINE V F(sl_odds)(V odds, V x, F(sl_options) o) {
    const V e = F(exp_below)(-F(size)((x - o.b) * o.a));
    return odds + F(fused)(odds, e, e);
}

/* sum_i value(x_i, y_i) of vectors side by side, all steps of a tile, onto their totals */
INLINE void F(sl_columns)(int op, int same, const F(sl_tile) *s, const R *x, const R *y,
                          int64_t steps, int64_t lanes, double *total, F(sl_options) o) {
    V sum[SL_ABREAST], given[SL_ABREAST], odds[SL_ABREAST];
    const int64_t many = (lanes + LANES - 1) / LANES;
    for (int64_t v = 0; v < many; v++) {
        sum[v] = odds[v] = F(all)(0);
        if (same) given[v] = F(get)(y + v * LANES, sl_least(LANES, lanes - v * LANES));
    }
    for (int64_t i = 0; i < steps; i++)
        for (int64_t v = 0; v < many; v++) {
            const int64_t at = v * LANES, l = sl_least(LANES, lanes - at);
            const V t = same ? given[v] : F(get)(y + i * s->y.time + at, l);
            const R *from = x + i * s->x.time + at;
            const V x_i = F(get)(from, l);
            __builtin_prefetch(from + SL_ABREAST * LANES);
            sum[v] += F(sl_value)(op, x_i, t, o);
            if (op == SL_BCE) odds[v] = F(sl_odds)(odds[v], x_i, o);
        }
    for (int64_t v = 0; v < many; v++) {
        if (op == SL_BCE) sum[v] += F(log1p)(odds[v]);
        for (int64_t i = 0; i < sl_least(LANES, lanes - v * LANES); i++)
            total[v * LANES + i] += (double)sum[v][i];
    }
}

INLINE void F(sl_sum_rows)(int op, int same, const F(sl_tile) *s, int64_t j, int64_t width,
                           double *total, F(sl_options) o) {
    enum { step = SL_ABREAST * LANES };
    const int64_t steps = F(sl_steps_of)(s, j);
    const R *x = F(sl_x)(s, 0, j), *y = F(sl_y)(s, 0, j);
    int64_t k = 0;
    for (; k + step <= width; k += step)
        F(sl_columns)(op, same, s, x + k, y + k, steps, step, total + k, o);
    for (; k + LANES <= width; k += LANES)
        F(sl_columns)(op, same, s, x + k, y + k, steps, LANES, total + k, o);
    if (k < width) F(sl_columns)(op, same, s, x + k, y + k, steps, width - k, total + k, o);
}

INLINE void F(sl_numbers)(int op, void *work, int64_t block, F(sl_options) o) {
    sl_job *job = work;
    F(sl_tile) s;
    const int64_t each = sizeof(double) / sizeof(R), n = job->call->neurons;
    if (!F(sl_open)(&s, job, block, (job->cut.samples * n + 1) * each)) return;
    double *total = (double *)(void *)s.more;
    for (int64_t i = 0; i < s.many * n; i++) total[i] = 0;
    for (int64_t t = 0; t < s.call->steps; t += s.cut.steps) {
        F(sl_move)(&s, t, 1);
        for (int64_t j = 0, run; j < s.many; j += run) {
            run = F(sl_beside)(&s, j, 0);
            if (s.y.time) F(sl_sum_rows)(op, 0, &s, j, run * n, total + j * n, o);
            else F(sl_sum_rows)(op, 1, &s, j, run * n, total + j * n, o);
        }
    }
    R *out = (R *)s.call->out[0] + s.first * n;
    for (int64_t i = 0; i < s.many * n; i++) out[i] = (R)total[i];
    free(s.room);
}

INLINE void F(sl_slope_rows)(int op, int same, const F(sl_tile) *s, int64_t j, int64_t width,
                             F(sl_options) o) {
    const R *up = s->call->up[0], *x = F(sl_x)(s, 0, j), *y = F(sl_y)(s, 0, j);
    R *grad = F(sl_grad)(s, 0, j);
    up += up ? (s->first + j) * s->n : 0;
    const int64_t steps = F(sl_steps_of)(s, j);
    for (int64_t i = 0; i < steps; i++) {
        const R *x_i = x + i * s->x.time, *y_i = same ? y : y + i * s->y.time;
        R *to = grad + i * s->grad.time;
        const int64_t ahead = s->x.time;
        SL_ALONG(width, {
            const V scale = up ? F(get)(up + k, l) : F(all)(0);
            const V slope = F(sl_slope)(op, F(get)(x_i + k, l), F(get)(y_i + k, l), o);
            __builtin_prefetch(x_i + k + ahead);
            __builtin_prefetch(to + k + s->grad.time, 1);
            F(set)(to + k, scale * slope, l);
        });
    }
}

INLINE void F(sl_numbers_back)(int op, void *work, int64_t block, F(sl_options) o) {
    F(sl_tile) s;
    if (!F(sl_open)(&s, work, block, 0)) return;
    for (int64_t t = 0; t < s.call->steps; t += s.cut.steps) {
        F(sl_move)(&s, t, 1);
        for (int64_t j = 0, run; j < s.many; j += run) {
            run = F(sl_beside)(&s, j, 1);
            if (!F(sl_steps_of)(&s, j)) continue;
            if (s.y.time) F(sl_slope_rows)(op, 0, &s, j, run * s.n, o);
            else F(sl_slope_rows)(op, 1, &s, j, run * s.n, o);
        }
        F(sl_written)(&s);
    }
    free(s.room);
}

INLINE F(sl_options) F(sl_options_of)(void *work) {
    const double *option = ((sl_job *)work)->call->option;
    return (F(sl_options)){(R)option[0], (R)option[1]};
}

#define SL_NUMBERS(name, op)                                                                  \
    static void F(name##_block)(void *work, int64_t block) {                                  \
        F(sl_numbers)(op, work, block, F(sl_options_of)(work));                               \
    }                                                                                         \
    static void F(name##_back_block)(void *work, int64_t block) {                             \
        F(sl_numbers_back)(op, work, block, F(sl_options_of)(work));                          \
    }

SL_NUMBERS(se, SL_SE)
SL_NUMBERS(se_shaped, SL_SE_SHAPED)
SL_NUMBERS(bce, SL_BCE)
SL_NUMBERS(poisson, SL_POISSON)
#undef SL_NUMBERS

static int64_t F(sl_se)(const sl_call *c) {
    const int shaped = c->option[0] != 0 || c->option[1] != 0;
    return sl_by_block(c, shaped ? F(se_shaped_block) : F(se_block));
}
static int64_t F(sl_se_back)(const sl_call *c) {
    const int shaped = c->option[0] != 0 || c->option[1] != 0;
    return sl_by_block(c, shaped ? F(se_shaped_back_block) : F(se_back_block));
}
static int64_t F(sl_bce)(const sl_call *c) { return sl_by_block(c, F(bce_block)); }
static int64_t F(sl_bce_back)(const sl_call *c) { return sl_by_block(c, F(bce_back_block)); }
static int64_t F(sl_poisson)(const sl_call *c) { return sl_by_block(c, F(poisson_block)); }
static int64_t F(sl_poisson_back)(const sl_call *c) {
    return sl_by_block(c, F(poisson_back_block));
}

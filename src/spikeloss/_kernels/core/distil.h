/* T^2 sum_c q_c log(q_c / p_c), q = softmax(y / T), p = softmax(x / T), of rows in lanes. Included
 * once for float and once for double, after lanes.h. */

/* What rows say. In e is q, in g (x - y) / T less its mean under q where that is small for every
 * class, so that p_c / q_c = e^g_c / (1 + s), s = sum_c q_c (e^g_c - 1 - g_c). */
typedef struct {
    V x_top, y_top, x_sum, y_sum; /* sum_c e^((x_c - max x) / T) - 1, and of y */
    V near, s;                    /* 1 where it is small, else 0 */
} F(pairs);

/* (x - y - shift) / T, to the rounding of what is left */
INLINE V F(distil_gap)(V x, V y, V shift, V cold) {
    const V gap = x - y, of_y = gap - x, lost = (x - (gap - of_y)) - (y + of_y);
    return ((gap - shift) + F(only)(F(size)(lost) < (R)INFINITY, lost)) * cold;
}

/* Divides q by its sum, puts g_c = (x_c - y_c - shift) / T over what p is in proportion to, and
 * says the mean of g under q. A class without probability in both has g = 0, in one of them nan. */
INLINE V F(distil_gaps)(F(sl_side) *w, V sum, V shift, V cold) {
    F(sl_long) mean = {F(all)(0), F(all)(0)};
    SL_PARTS(w) {
        V part = F(all)(0);
        SL_VECTORS(w) {
            const V x = w->x[k], q = w->e[k] / sum, p = w->g[k];
            const VI some = (q > 0) & (x > -(R)INFINITY), never = (q == 0) & (p == 0);
            const V gap = F(only)(some, F(distil_gap)(x, w->y[k], shift, cold));
            w->e[k] = q;
            w->g[k] = F(pick)(some | never, gap, F(all)((R)NAN));
            part += q * gap;
        }
        F(sl_lengthen)(&mean, part);
    }
    return F(long_across)(w, mean);
}

INLINE F(pairs) F(distil_pairs)(F(sl_side) *w) {
    const V cold = F(all)(1 / (R)w->tile.call->option[0]), one = F(all)(1), none = F(all)(0);
    F(pairs) of = {.x_top = F(top_of)(w, w->x), .y_top = F(top_of)(w, w->y)};
    F(sl_long) x_sum = {none, none}, y_sum = x_sum, s = x_sum;
    V x_tops = none, y_tops = none, shift = F(all)(-(R)INFINITY), far = none;
    SL_PARTS(w) {
        V x_part = none, y_part = none;
        SL_VECTORS(w) {
            const V x_d = w->x[k] - of.x_top, y_d = w->y[k] - of.y_top;
            const V p = F(exp_below)(x_d * cold), q = F(exp_below)(y_d * cold);
            w->g[k] = p, w->e[k] = q; /* not divided by their sums */
            x_part += F(only)(x_d != 0, p), x_tops += F(only)(x_d == 0, one);
            y_part += F(only)(y_d != 0, q), y_tops += F(only)(y_d == 0, one);
            shift = F(larger)(F(pick)(q > 0, w->x[k] - w->y[k], shift), shift);
        }
        F(sl_lengthen)(&x_sum, x_part);
        F(sl_lengthen)(&y_sum, y_part);
    }
    of.x_sum = F(long_across)(w, x_sum) + (F(across)(w, x_tops) - 1);
    of.y_sum = F(long_across)(w, y_sum) + (F(across)(w, y_tops) - 1);
    const V mean = F(distil_gaps)(w, of.y_sum + 1, F(top_across)(w, shift), cold);
    SL_PARTS(w) {
        V part = none;
        SL_VECTORS(w) {
            const V q = w->e[k], g = w->g[k];
            const V e = F(only)(~(q == 0), g - mean), gone = F(only)(q == 0, g); /* nan, or 0 */
            w->g[k] = e;
            far += F(only)(~(F(size)(e + gone) < 60), one);
            part += q * F(beyond_line)(e);
        }
        F(sl_lengthen)(&s, part);
    }
    of.near = F(only)(F(across)(w, far) == 0, one);
    of.s = F(long_across)(w, s);
    return of;
}

/* The loss of row l, far from its target, without T^2 */
static double F(distil_far)(const F(sl_side) *w, const F(pairs) *of, int64_t l) {
    const double heat = w->tile.call->option[0];
    const double x_log = log1p((double)of->x_sum[l]), y_log = log1p((double)of->y_sum[l]);
    const R *x = (const R *)w->x + l, *y = (const R *)w->y + l, *q = (const R *)w->e + l;
    double far = y_log != y_log || x_log != x_log ? (double)NAN : 0;
    for (int64_t c = 0, i = 0; c < w->tile.n; c++, i += w->wide ? 1 : LANES) {
        const double log_q = ((double)y[i] - (double)of->y_top[l]) / heat - y_log;
        const double log_p = ((double)x[i] - (double)of->x_top[l]) / heat - x_log;
        if (q[i] > 0) far += (double)q[i] * (log_q - log_p);
    }
    return far;
}

INLINE void F(distil_value)(F(sl_side) *w) {
    const double heat = w->tile.call->option[0];
    const F(pairs) of = F(distil_pairs)(w);
    const V log = F(log1p)(F(only)(of.near != 0, of.s));
    for (int64_t l = 0; l < w->many; l++)
        w->total[w->sample[l]] +=
            heat * heat * (of.near[l] != 0 ? (double)log[l] : F(distil_far)(w, &of, l));
}

INLINE void F(distil_slope)(F(sl_side) *w) {
    const R heat = (R)w->tile.call->option[0];
    const F(pairs) of = F(distil_pairs)(w);
    const V scale = w->up * heat, share = scale / (of.s + 1);
    const int some = F(lanes)(F(mask_of)(of.near == 0)) != 0;
    for (int64_t k = 0; k < w->vectors; k++) {
        const V e = w->g[k], q = w->e[k], near = q * ((F(beyond_line)(e) + e) - of.s) * share;
        w->g[k] = near;
        if (!some) continue;
        const V p = F(exp_below)((w->x[k] - of.x_top) * (1 / heat)) / (of.x_sum + 1);
        w->g[k] = F(pick)(of.near != 0, near, scale * (p - q));
    }
}

#define SL_DISTIL(name, done, wide, back)                                                     \
    static void F(name)(void *work, int64_t block) {                                          \
        F(side_block)(F(done), work, block, wide, back);                                      \
    }
SL_DISTIL(distil_short, distil_value, 0, 0)
SL_DISTIL(distil_long, distil_value, 1, 0)
SL_DISTIL(distil_short_back, distil_slope, 0, 1)
SL_DISTIL(distil_long_back, distil_slope, 1, 1)
#undef SL_DISTIL

static int64_t F(sl_distil)(const sl_call *c) {
    return sl_by_block(c, c->neurons > SL_SHORT ? F(distil_long) : F(distil_short));
}
static int64_t F(sl_distil_back)(const sl_call *c) {
    return sl_by_block(c, c->neurons > SL_SHORT ? F(distil_long_back) : F(distil_short_back));
}

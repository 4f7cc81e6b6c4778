/* T^2 sum_c q_c log(q_c / p_c), q = softmax(y / T), p = softmax(x / T), of a row. Included once
 * for float and once for double. */

/* What a row says: q (n), g (n) = (x - y) / T less its mean under q where that is small for every
 * class, so that p_c / q_c = e^g_c / (1 + s), s = sum_c q_c (e^g_c - 1 - g_c). */
typedef struct {
    R x_top, y_top;
    double x_sum, y_sum; /* sum_c e^((x_c - max x) / T) - 1, and of y */
    int near;
    R s;
} F(pair);

/* (x - y - shift) / T, to the rounding of what is left */
INLINE V F(distil_gap)(V x, V y, V shift, V cold) {
    const V gap = x - y, of_y = gap - x, lost = (x - (gap - of_y)) - (y + of_y);
    return ((gap - shift) + F(only)(F(size)(lost) < (R)INFINITY, lost)) * cold;
}

/* Divides q by its sum, puts g_c = (x_c - y_c - shift) / T over what p is in proportion to, and
 * says the mean of g under q. A class without probability in both has g = 0, in one of them nan. */
static double F(distil_gaps)(const R *x, const R *y, int64_t n, R sum, R shift, R cold, R *q,
                             R *g) {
    double mean = 0;
    for (int64_t from = 0; from < n; from += SL_PIECE) {
        const int64_t many = sl_least(SL_PIECE, n - from);
        V part = F(all)(0);
        SL_ALONG(many, {
            const int64_t at = from + k;
            const V x_c = F(get)(x + at, l), q_c = F(get)(q + at, l) / sum, p_c = F(get)(g + at, l);
            const VI some = (q_c > 0) & (x_c > -(R)INFINITY), never = (q_c == 0) & (p_c == 0);
            const V y_c = F(get)(y + at, l), cool = F(all)(cold);
            const V gap = F(only)(some, F(distil_gap)(x_c, y_c, F(all)(shift), cool));
            F(set)(q + at, q_c, l);
            F(set)(g + at, F(pick)(some | never, gap, F(all)((R)NAN)), l);
            part += l < LANES ? F(only)(F(some)(l), q_c * gap) : q_c * gap;
        });
        mean += (double)F(total)(part);
    }
    return mean;
}

static F(pair) F(distil_pair)(const R *x, const R *y, int64_t n, R heat, R *q, R *g) {
    const R cold = 1 / heat;
    F(pair) of = {.x_top = F(row_top)(x, n), .y_top = F(row_top)(y, n), .near = 1};
    of.x_sum = F(row_sum)(x, n, of.x_top, cold, g); /* p, not divided by its sum */
    of.y_sum = F(row_sum)(y, n, of.y_top, cold, q);
    V most = F(all)(-(R)INFINITY), far = F(all)(0);
    SL_ALONG(n, {
        V gap = F(get)(x + k, l) - F(get)(y + k, l);
        const VI here = l < LANES ? F(some)(l) : F(all_i)(-1);
        most = F(larger)(F(pick)(here & (F(get)(q + k, l) > 0), gap, most), most);
    });
    const R shift = F(highest)(most), sum = (R)(of.y_sum + 1);
    const R mean = (R)F(distil_gaps)(x, y, n, sum, shift, cold, q, g);
    double s = 0;
    for (int64_t from = 0; from < n; from += SL_PIECE) {
        const int64_t many = sl_least(SL_PIECE, n - from);
        V part = F(all)(0);
        SL_ALONG(many, {
            const int64_t at = from + k;
            const V q_c = F(get)(q + at, l);
            const V e = F(only)(~(q_c == 0), F(get)(g + at, l) - mean);
            const V gone = F(only)(q_c == 0, F(get)(g + at, l)); /* nan, or 0 of what never comes */
            const V term = q_c * F(beyond_line)(e);
            const V one = F(only)(~(F(size)(e + gone) < 60), F(all)(1));
            F(set)(g + at, e, l);
            far += l < LANES ? F(only)(F(some)(l), one) : one;
            part += l < LANES ? F(only)(F(some)(l), term) : term;
        });
        s += (double)F(total)(part);
    }
    of.near = !(F(total)(far) > 0);
    of.s = (R)s;
    return of;
}

/* The loss of a row; where it is T^2 log(1 + s), s alone */
static double F(distil_value)(const R *x, const R *y, int64_t n, R heat, R *room, R *s) {
    const F(pair) of = F(distil_pair)(x, y, n, heat, room, room + n);
    *s = 0;
    const double square = (double)heat * (double)heat;
    if (of.near) return *s = of.s, 0;
    const double x_log = log1p(of.x_sum), y_log = log1p(of.y_sum);
    double far = y_log != y_log || x_log != x_log ? (double)NAN : 0;
    for (int64_t c = 0; c < n; c++) {
        const double log_q = ((double)y[c] - (double)of.y_top) / (double)heat - y_log;
        const double log_p = ((double)x[c] - (double)of.x_top) / (double)heat - x_log;
        if (room[c] > 0) far += (double)room[c] * (log_q - log_p);
    }
    return square * far;
}

/* The losses of the valid steps of a sample in a tile */
static double F(distil_sample)(const F(sl_tile) *s, int64_t j) {
    enum { deep = SL_DEEP > LANES ? SL_DEEP : LANES };
    const R heat = (R)s->call->option[0];
    R near[deep] = {0};
    double total = 0, logs = 0;
    for (int64_t i = 0; i < F(sl_steps_of)(s, j); i++)
        total += F(distil_value)(F(sl_x)(s, i, j), F(sl_y)(s, i, j), s->n, heat, s->more, near + i);
    for (int64_t i = 0; i < deep; i += LANES)
        logs += (double)F(total)(F(log1p)(F(load)(near + i)));
    return total + (double)heat * (double)heat * logs;
}

static void F(distil_back)(const R *x, const R *y, int64_t n, R up, R heat, R *room, R *grad) {
    R *g = room + n;
    const F(pair) of = F(distil_pair)(x, y, n, heat, room, g);
    const R scale = up * heat;
    if (of.near) {
        SL_ALONG(n, {
            const V e = F(get)(g + k, l), more = F(beyond_line)(e) + e - of.s;
            F(set)(grad + k, F(get)(room + k, l) * more * (scale / (1 + of.s)), l);
        });
        return;
    }
    const R sum = (R)(F(row_sum)(x, n, of.x_top, 1 / heat, grad) + 1);
    for (int64_t c = 0; c < n; c++) grad[c] = scale * (grad[c] / sum - room[c]);
}

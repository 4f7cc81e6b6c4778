/* Criteria of rows: cross-entropy of labels and of probabilities. Included once for float and once
 * for double. */
#ifndef SL_SOFTMAX_ONCE
#define SL_SOFTMAX_ONCE
enum { SL_PIECE = 2048 }; /* entries of a row that are summed before a double takes them */
#endif

/* Beyond it logits lie so far above that of the label that their distance has lost digits. */
#define SL_FAR ((R)4e8)

/* sum_(c != y) e^(x_c - x_y); into `e`, if there is one, its terms; into `line`, if there is one,
 * sum_c x_c - x_y. */
INLINE double F(ce_others)(const R *x, int64_t n, int64_t y, R *e, double *line) {
    const V right = F(all)(x[y]);
    double others = 0;
    for (int64_t from = 0; from < n; from += SL_PIECE) {
        const int64_t many = sl_least(SL_PIECE, n - from);
        const VI at = F(lane)() - F(all_i)((I)(y - from));
        V sum = F(all)(0), far = F(all)(0);
        SL_ALONG(many, {
            V d = F(get)(x + from + k, l) - right;
            V term = F(only)(at + F(all_i)((I)k) != 0, F(exp_near)(d));
            if (l < LANES) term = F(only)(F(some)(l), term), d = F(only)(F(some)(l), d);
            if (e) F(set)(e + from + k, term, l);
            if (line) far += d;
            sum += term;
        });
        others += (double)F(total)(sum);
        if (line) *line += (double)F(total)(far);
    }
    return others;
}

/* max_c x_c of the numbers of a row: one that is none shows in the sums */
INLINE R F(row_top)(const R *x, int64_t n) {
    V most = F(all)(-(R)INFINITY);
    SL_ALONG(n, {
        V v = F(get)(x + k, l);
        if (l < LANES) v = F(pick)(F(some)(l), v, most);
        most = F(larger)(v, most);
    });
    return F(highest)(most);
}

/* sum_c e^(scale (x_c - m)) - 1, m the maximum, without loss where the others are small; into `e`
 * its terms */
INLINE double F(row_sum)(const R *x, int64_t n, R m, R scale, R *e) {
    const V top = F(all)(m);
    double sum = 0, tops = -1;
    for (int64_t from = 0; from < n; from += SL_PIECE) {
        const int64_t many = sl_least(SL_PIECE, n - from);
        V rest = F(all)(0), count = F(all)(0);
        SL_ALONG(many, {
            const V d = F(get)(x + from + k, l) - top;
            const VI here = l < LANES ? F(some)(l) : F(all_i)(-1);
            const V term = F(exp_below)(d * scale);
            if (e) F(set)(e + from + k, term, l);
            rest += F(only)((d != 0) & here, term);
            count += F(only)((d == 0) & here, F(all)(1));
        });
        sum += (double)F(total)(rest);
        tops += (double)F(total)(count);
    }
    return sum + tops;
}

/* The loss of a row where the logit of the label is far below the highest, or one is not finite */
static double F(ce_far)(const R *x, int64_t n, int64_t y, double smooth) {
    const R m = F(row_top)(x, n);
    const double log_sum = log1p(F(row_sum)(x, n, m, 1, 0));
    if (smooth == 0) return log_sum + ((double)m - (double)x[y]);
    double line = 0;
    for (int64_t c = 0; c < n; c++) line += (double)m - (double)x[c];
    return log_sum + (1 - smooth) * ((double)m - (double)x[y]) + smooth / (double)n * line;
}

static void F(ce_far_back)(const R *x, int64_t n, int64_t y, R up, R smooth, R *grad) {
    const R m = F(row_top)(x, n), sum = (R)(F(row_sum)(x, n, m, 1, grad) + 1);
    const R flat = up * (smooth / (R)n);
    for (int64_t c = 0; c < n; c++) grad[c] = up * (grad[c] / sum) - flat;
    grad[y] -= up * (1 - smooth);
}

typedef struct {
    const int64_t *data;
    int64_t time, sample;
    int ignores;
    int64_t ignored;
} F(labels);

static F(labels) F(labels_of)(const sl_call *c) {
    return (F(labels)){c->y.data, c->y.time, c->y.sample, c->option[1] != 0,
                       (int64_t)c->option[2]};
}

/* The losses of the valid steps of a sample in a tile; how many count */
static int64_t F(ce_sample)(const F(sl_tile) *s, int64_t j, const F(labels) *of, double *total) {
    enum { deep = SL_DEEP > LANES ? SL_DEEP : LANES };
    R others[deep] = {0};
    const double smooth = s->call->option[0];
    const int64_t steps = F(sl_steps_of)(s, j), n = s->n;
    int64_t counted = 0;
    double far = 0, line = 0;
    const int64_t *label = of->data + (s->first + j) * of->sample + s->t * of->time;
    for (int64_t i = 0; i < steps; i++) {
        const int64_t y = label[i * of->time];
        if (of->ignores && y == of->ignored) continue;
        counted++;
        if (y < 0 || y >= n) {
            far = (double)NAN;
            continue;
        }
        const R *x = F(sl_x)(s, i, j);
        double below = 0;
        const double sum = smooth != 0 ? F(ce_others)(x, n, y, 0, &below)
                                       : F(ce_others)(x, n, y, 0, 0);
        if (sum < SL_FAR) others[i] = (R)sum, line += below;
        else far += F(ce_far)(x, n, y, smooth);
    }
    for (int64_t i = 0; i < deep; i += LANES) {
        const V loss = F(log1p)(F(load)(others + i));
        for (int64_t k = 0; k < LANES; k++) far += (double)loss[k];
    }
    if (smooth != 0) far -= smooth / (double)n * line;
    *total += far;
    return counted;
}

static void F(ce_block)(void *work, int64_t block) {
    F(sl_tile) s;
    const int64_t each = sizeof(double) / sizeof(R);
    if (!F(sl_open)(&s, work, block, (((sl_job *)work)->cut.samples + 1) * each)) return;
    double *total = (double *)(void *)s.more;
    const F(labels) of = F(labels_of)(s.call);
    R *out = (R *)s.call->out[0] + s.first;
    int32_t *counted = s.call->out[1] ? (int32_t *)s.call->out[1] + s.first : 0;
    for (int64_t j = 0; j < s.many; j++) {
        total[j] = 0;
        if (counted) counted[j] = 0;
    }
    for (int64_t t = 0; t < s.call->steps; t += s.cut.steps) {
        F(sl_move)(&s, t, 0);
        for (int64_t j = 0; j < s.many; j++) {
            const int64_t many = F(ce_sample)(&s, j, &of, total + j);
            if (counted) counted[j] += (int32_t)many;
        }
    }
    for (int64_t j = 0; j < s.many; j++) out[j] = (R)total[j];
    free(s.room);
}

static void F(ce_row_back)(const R *x, int64_t n, int64_t y, R up, R smooth, R *grad) {
    const double sum = F(ce_others)(x, n, y, grad, 0);
    if (!(sum < SL_FAR)) {
        F(ce_far_back)(x, n, y, up, smooth, grad);
        return;
    }
    const R s = (R)sum, flat = up * (smooth / (R)n), scale = up / (1 + s);
    SL_ALONG(n, { F(set)(grad + k, F(get)(grad + k, l) * scale - flat, l); });
    grad[y] = up * (smooth - s / (1 + s)) - flat;
}

static void F(ce_back_block)(void *work, int64_t block) {
    F(sl_tile) s;
    if (!F(sl_open)(&s, work, block, 0)) return;
    const F(labels) of = F(labels_of)(s.call);
    for (int64_t t = 0; t < s.call->steps; t += s.cut.steps) {
        F(sl_move)(&s, t, 0);
        for (int64_t j = 0; j < s.many; j++) {
            const int64_t *label = of.data + (s.first + j) * of.sample + t * of.time;
            const R up = F(sl_up)(&s, s.first + j);
            for (int64_t i = 0; i < F(sl_steps_of)(&s, j); i++) {
                const int64_t y = label[i * of.time];
                R *grad = F(sl_grad)(&s, i, j);
                if (of.ignores && y == of.ignored) memset(grad, 0, (size_t)s.n * sizeof(R));
                else if (y < 0 || y >= s.n)
                    for (int64_t c = 0; c < s.n; c++) grad[c] = (R)NAN;
                else F(ce_row_back)(F(sl_x)(&s, i, j), s.n, y, up, (R)s.call->option[0], grad);
            }
        }
        F(sl_written)(&s);
    }
    free(s.room);
}

/* -sum_c q_c log softmax(x)_c = mass log sum_c e^(x_c - m) + far, m = max x, q smoothed; a class
 * with q = 0 costs nothing */
typedef struct {
    double mass, rest, far; /* rest: the sum less 1 */
} F(soft_parts);

/* The parts of a row; into `e`, if there is one, what its sum is of. */
INLINE F(soft_parts) F(soft_row)(const R *x, const R *q, int64_t n, R smooth, R *e) {
    const V top = F(all)(F(row_top)(x, n)), flat = F(all)(smooth / (R)n), keep = F(all)(1 - smooth);
    F(soft_parts) of = {0, -1, 0};
    for (int64_t from = 0; from < n; from += SL_PIECE) {
        const int64_t many = sl_least(SL_PIECE, n - from);
        V far = F(all)(0), mass = F(all)(0), rest = F(all)(0), count = F(all)(0);
        SL_ALONG(many, {
            const V d = F(get)(x + from + k, l) - top, term = F(exp_below)(d);
            const VI here = l < LANES ? F(some)(l) : F(all_i)(-1);
            V share = F(fused)(F(get)(q + from + k, l), keep, flat);
            if (l < LANES) share = F(only)(here, share);
            if (e) F(set)(e + from + k, term, l);
            far -= F(only)(share != 0, share * d);
            mass += share;
            rest += F(only)((d != 0) & here, term);
            count += F(only)((d == 0) & here, F(all)(1));
        });
        of.far += (double)F(total)(far);
        of.mass += (double)F(total)(mass);
        of.rest += (double)F(total)(rest) + (double)F(total)(count);
    }
    return of;
}

/* The losses of the valid steps of a sample in a tile */
static double F(soft_sample)(const F(sl_tile) *s, int64_t j) {
    enum { deep = SL_DEEP > LANES ? SL_DEEP : LANES };
    const R smooth = (R)s->call->option[0];
    R rest[deep] = {0}, mass[deep] = {0};
    double total = 0;
    for (int64_t i = 0; i < F(sl_steps_of)(s, j); i++) {
        const F(soft_parts) of = F(soft_row)(F(sl_x)(s, i, j), F(sl_y)(s, i, j), s->n, smooth, 0);
        /* What is not a number is what the formula says of it, without the logarithm. */
        rest[i] = (R)of.rest, mass[i] = (R)of.mass, total += of.far;
    }
    for (int64_t i = 0; i < deep; i += LANES)
        total += (double)F(total)(F(load)(mass + i) * F(log1p)(F(load)(rest + i)));
    return total;
}

static void F(soft_back)(const R *x, const R *q, int64_t n, R up, R smooth, R *grad) {
    const F(soft_parts) of = F(soft_row)(x, q, n, smooth, grad);
    const V scale = F(all)((R)(of.mass / (of.rest + 1))), ups = F(all)(up);
    const V flat = F(all)(smooth / (R)n), keep = F(all)(1 - smooth);
    SL_ALONG(n, {
        const V share = F(fused)(F(get)(q + k, l), keep, flat);
        F(set)(grad + k, ups * F(fused)(F(get)(grad + k, l), scale, -share), l);
    });
}

static void F(soft_block)(void *work, int64_t block) {
    F(sl_tile) s;
    const int64_t each = sizeof(double) / sizeof(R);
    if (!F(sl_open)(&s, work, block, ((sl_job *)work)->cut.samples * each)) return;
    double *total = (double *)(void *)s.more;
    R *out = (R *)s.call->out[0] + s.first;
    for (int64_t j = 0; j < s.many; j++) total[j] = 0;
    for (int64_t t = 0; t < s.call->steps; t += s.cut.steps) {
        F(sl_move)(&s, t, 1);
        for (int64_t j = 0; j < s.many; j++) total[j] += F(soft_sample)(&s, j);
    }
    for (int64_t j = 0; j < s.many; j++) out[j] = (R)total[j];
    free(s.room);
}

static void F(soft_back_block)(void *work, int64_t block) {
    F(sl_tile) s;
    if (!F(sl_open)(&s, work, block, 0)) return;
    for (int64_t t = 0; t < s.call->steps; t += s.cut.steps) {
        F(sl_move)(&s, t, 1);
        for (int64_t j = 0; j < s.many; j++)
            for (int64_t i = 0; i < F(sl_steps_of)(&s, j); i++)
                F(soft_back)(F(sl_x)(&s, i, j), F(sl_y)(&s, i, j), s.n, F(sl_up)(&s, s.first + j),
                             (R)s.call->option[0], F(sl_grad)(&s, i, j));
        F(sl_written)(&s);
    }
    free(s.room);
}

#if defined(__AVX512F__) && !SL_DOUBLE
#include "flat.h"
#include "flat_block.h"
static int64_t F(sl_ce)(const sl_call *c) {
    return flat_for(c) ? flat_run(c, flat_block) : sl_by_block(c, F(ce_block));
}
static int64_t F(sl_ce_back)(const sl_call *c) {
    return flat_for(c) ? flat_run(c, flat_back_block) : sl_by_block(c, F(ce_back_block));
}
#else
static int64_t F(sl_ce)(const sl_call *c) { return sl_by_block(c, F(ce_block)); }
static int64_t F(sl_ce_back)(const sl_call *c) { return sl_by_block(c, F(ce_back_block)); }
#endif
static int64_t F(sl_soft)(const sl_call *c) { return sl_by_block(c, F(soft_block)); }
static int64_t F(sl_soft_back)(const sl_call *c) { return sl_by_block(c, F(soft_back_block)); }
#undef SL_FAR

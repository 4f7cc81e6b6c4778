/* Cross-entropy of labels, of short rows that lie one after the other: 16 at once, as vectors
 * without regard to where a row ends. Float and AVX-512 alone; included after what it is compared
 * with, row by row. */

enum { FLAT = 16, FLAT_WIDEST = 128, FLAT_ENTRIES = 4096 }; /* rows; entries of one, of all */

/* What 16 rows have for constants. */
typedef struct {
    VI label;               /* where the logit of the label is, from the first row on */
    V wrong;                /* nan for a label out of range, else 0 */
    __mmask16 rows, counts; /* those there are; of these those that count */
    VI held;                /* of rows of samples the valid steps of the tile */
    int64_t together;       /* the first steps of the tile that they go through together */
} flat_rows;

/* Rows that wait for their sums: what was exponentiated has left for the cache by then. */
typedef struct {
    V sum;
    flat_rows own;         /* of rows whose constants are of no other */
    const flat_rows *of;
    const float *x;
    float *e, *copy, *grad; /* exponentials; of the record; where gradients go, and how far apart */
    int64_t ahead, stride, many, place; /* the group of samples, or ~ the sample */
} flat_item;

typedef struct {
    F(sl_tile) tile;
    F(labels) labels;
    int64_t n, groups;
    flat_rows *of;     /* of each 16 samples */
    VI *row;           /* of every entry of a vector its row */
    float *g;          /* gradients of 16 rows */
    double *total;
    V *sum, *odds;     /* of each 16 samples: losses of a tile; gradients of their totals */
    flat_item *items;  /* those that wait, of so many */
    int64_t waiting, most;
    int back;
} flat_work;

static void flat_prepare(flat_rows *of, int64_t n, int64_t many, const int64_t *label,
                         int64_t stride, const F(labels) *how) {
    of->rows = of->counts = (__mmask16)((1u << many) - 1);
    of->label = (VI){0};
    of->wrong = (V){0};
    for (int64_t i = 0; i < many; i++) {
        const int64_t y = label[i * stride];
        const int counts = !how->ignores || y != how->ignored, known = y >= 0 && y < n;
        if (!counts) of->counts &= (__mmask16)~(1u << i);
        else if (!known) of->wrong[i] = NAN;
        of->label[i] = (int32_t)(i * n + (known ? y : 0));
    }
}

/* e^(x_c - x_y) of the entries of rows but those of the labels, which are 0 */
INLINE void flat_exps(const flat_work *w, const flat_item *item, const float *grad) {
    const int64_t many = item->many, entries = many * w->n, ahead = item->ahead;
    const float *x = item->x, *end = x + entries / FLAT * FLAT;
    const __m512i *row = (const __m512i *)w->row;
    float *e = item->e;
    const __m512i label = (__m512i)item->of->label;
    const __m512 right =
        _mm512_mask_i32gather_ps(_mm512_setzero_ps(), item->of->rows, label, x, 4);
    for (; x < end; x += FLAT, e += FLAT, row++) {
        const __m512 of_row = _mm512_permutexvar_ps(*row, right);
        __builtin_prefetch(x + ahead);
        if (grad) __builtin_prefetch(grad + (x - item->x), 1);
        _mm512_store_ps(e, (__m512)F(exp_free)((V)_mm512_sub_ps(_mm512_loadu_ps(x), of_row)));
    }
    if (entries % FLAT) {
        const __m512 of_row = _mm512_permutexvar_ps(*row, right);
        const __m512 last = (__m512)F(load_n)(x, entries % FLAT);
        _mm512_store_ps(e, (__m512)F(exp_free)((V)_mm512_sub_ps(last, of_row)));
    }
    int32_t at[FLAT];
    _mm512_storeu_si512(at, label);
    e = item->e;
    if (many == FLAT)
        for (int i = 0; i < FLAT; i++) e[at[i]] = 0;
    else
        for (int i = 0; i < many; i++) e[at[i]] = 0;
}

INLINE __m512 flat_row(const float *e, int64_t whole, __mmask16 rest) {
    __m512 sum = _mm512_maskz_loadu_ps(rest, e + whole * FLAT);
    for (int64_t v = 0; v < whole; v++) sum = _mm512_add_ps(sum, _mm512_loadu_ps(e + v * FLAT));
    return sum;
}

/* Sums of lanes 0 and 2, 1 and 3, each of four numbers, of a, then of b; and so on. */
#define FLAT_HALVES(a, b) \
    _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee))
#define FLAT_LANES(a, b) \
    _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd))
#define FLAT_PAIRS(a, b) _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b))
#define FLAT_LAST(a, b) _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee))

/* The sum of each of 16 rows that follow each other, of so many vectors and a rest */
INLINE __m512 flat_sums_of(const float *e, int64_t n, int64_t whole) {
    const __mmask16 rest = (__mmask16)((1u << n % FLAT) - 1);
    __m512 four[4];
    for (int q = 0; q < 4; q++) {
        const __m512 a = flat_row(e + q * n, whole, rest);
        const __m512 b = flat_row(e + (q + 4) * n, whole, rest);
        const __m512 c = flat_row(e + (q + 8) * n, whole, rest);
        const __m512 d = flat_row(e + (q + 12) * n, whole, rest);
        const __m512 ab = FLAT_HALVES(a, b), cd = FLAT_HALVES(c, d);
        four[q] = FLAT_LANES(ab, cd);
    }
    const __m512 low = FLAT_PAIRS(four[0], four[1]), high = FLAT_PAIRS(four[2], four[3]);
    return FLAT_LAST(low, high);
}

INLINE __m512 flat_sums(const float *e, int64_t n) {
    switch (n / FLAT) {
    case 0: return flat_sums_of(e, n, 0);
    case 1: return flat_sums_of(e, n, 1);
    case 2: return flat_sums_of(e, n, 2);
    default: return flat_sums_of(e, n, n / FLAT);
    }
}

/* sum_(c != y) e^(x_c - x_y) of the rows that count, else 0; what else they lose onto `loss` */
INLINE V flat_others(const flat_work *w, const flat_item *item, V *loss) {
    const flat_rows *of = item->of;
    const __m512 sum = (__m512)item->sum;
    const __mmask16 near = _mm512_cmp_ps_mask(sum, _mm512_set1_ps(SL_FAR), _CMP_LT_OQ);
    const __mmask16 far = (__mmask16)(of->counts & ~near);
    *loss += of->wrong;
    if (far)
        for (int64_t i = 0; i < FLAT; i++)
            if (far >> i & 1)
                (*loss)[i] +=
                    (float)F(ce_far)(item->x + i * w->n, w->n, of->label[i] - i * w->n, 0);
    return (V)_mm512_maskz_mov_ps(of->counts & near, sum);
}

/* Adds up losses, of samples as prod_t (1 + S_t) - 1, which needs one logarithm for many steps. */
INLINE void flat_add(flat_work *w, const flat_item *item) {
    const int64_t g = item->place;
    if (g < 0) {
        V loss = {0};
        const V others = flat_others(w, item, &loss);
        w->total[~g] += (double)F(total)(loss + F(log1p)(others));
        return;
    }
    const V others = flat_others(w, item, w->sum + g);
    const V odds = w->odds[g] + F(fused)(w->odds[g], others, others);
    const __m512 most = _mm512_set1_ps(1e20f); /* times SL_FAR is in range still */
    w->odds[g] = odds;
    if (!_mm512_cmp_ps_mask((__m512)odds, most, _CMP_NLT_UQ)) return;
    w->sum[g] += F(log1p)(odds);
    w->odds[g] = (V){0};
}

static void flat_far_back(const flat_work *w, const flat_item *item, unsigned far, V up, float *g) {
    const int64_t n = w->n;
    for (int64_t i = 0; i < FLAT; i++) {
        if (!(far >> i & 1)) continue;
        if (!(item->of->counts >> i & 1)) memset(g + i * n, 0, (size_t)n * sizeof *g);
        else F(ce_far_back)(item->x + i * n, n, item->of->label[i] - i * n, up[i], 0, g + i * n);
    }
}

/* The gradient of rows, into rows that follow each other */
INLINE void flat_slopes(const flat_work *w, const flat_item *item, V up, float *g) {
    const flat_rows *of = item->of;
    const int64_t many = item->many, entries = many * w->n, whole = entries / FLAT;
    const V sum = item->sum, share = up / (sum + 1), wrong = of->wrong;
    const __m512 scale = (__m512)((V)_mm512_maskz_mov_ps(of->counts, (__m512)share) + wrong);
    const V own = (V)_mm512_maskz_mov_ps(of->counts, (__m512)(-share * sum)) + wrong;
    const __m512i *row = (const __m512i *)w->row;
    const float *e = item->e;
    for (int64_t v = 0; v < whole; v++) {
        const __m512 of_row = _mm512_permutexvar_ps(row[v], scale);
        _mm512_storeu_ps(g + v * FLAT, _mm512_mul_ps(_mm512_load_ps(e + v * FLAT), of_row));
    }
    if (entries % FLAT) {
        const __m512 of_row = _mm512_permutexvar_ps(row[whole], scale);
        const __m512 d = _mm512_mul_ps(_mm512_load_ps(e + whole * FLAT), of_row);
        F(store_n)(g + whole * FLAT, (V)d, entries % FLAT);
    }
    float label[FLAT];
    int32_t at[FLAT];
    F(store)(label, own);
    _mm512_storeu_si512(at, (__m512i)of->label);
    if (many == FLAT)
        for (int i = 0; i < FLAT; i++) g[at[i]] = label[i];
    else
        for (int i = 0; i < many; i++) g[at[i]] = label[i];
    const __mmask16 near = _mm512_cmp_ps_mask((__m512)sum, _mm512_set1_ps(SL_FAR), _CMP_LT_OQ);
    const __mmask16 far = (__mmask16)(of->rows & ~near);
    if (far) flat_far_back(w, item, far, up, g);
}

static void flat_end_back(flat_work *w, const flat_item *item) {
    const R *ups = w->tile.call->up[0];
    const int64_t at = item->place;
    const V up = at >= 0 ? w->sum[at] : F(all)(ups ? ups[w->tile.first + ~at] : 0);
    const int beside = item->stride == w->n;
    flat_slopes(w, item, up, beside ? item->grad : w->g);
    for (int64_t i = 0; !beside && i < item->many; i++)
        memcpy(item->grad + i * item->stride, w->g + i * w->n, (size_t)w->n * sizeof(float));
}

/* Adds up the losses of the rows that wait, or writes their gradients. */
static void flat_end(flat_work *w) {
    flat_item *end = w->items + w->waiting;
    for (flat_item *item = w->items; item < end; item++) item->sum = (V)flat_sums(item->e, w->n);
    for (flat_item *item = w->items; item < end; item++) {
        if (w->back) {
            flat_end_back(w, item);
            continue;
        }
        flat_add(w, item);
    }
    w->waiting = 0;
}

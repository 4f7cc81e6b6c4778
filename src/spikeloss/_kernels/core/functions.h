/* Exponential and logarithm of vectors, by polynomials. Included once for float and once for
 * double. */
#ifndef SL_FUNCTIONS_ONCE
#define SL_FUNCTIONS_ONCE
#if defined(__AVX512F__)
static const float sl_roots[32] = { /* 2^(i / 32) */
    1.f, 1.0218972f, 1.04427373f, 1.06714046f, 1.09050775f, 1.1143868f, 1.13878858f,
    1.1637249f, 1.18920708f, 1.21524739f, 1.24185777f, 1.26905096f, 1.29683959f, 1.32523668f,
    1.35425556f, 1.38390994f, 1.41421354f, 1.44518077f, 1.47682619f, 1.50916445f, 1.54221082f,
    1.5759809f, 1.61049032f, 1.64575553f, 1.68179286f, 1.71861935f, 1.75625217f, 1.79470909f,
    1.8340081f, 1.87416768f, 1.91520655f, 1.95714414f};
#endif

/* BODY at offset k of a row of n, with l lanes of it to come, LANES of them but at the end. */
#define SL_ALONG(n, ...)                                                                      \
    do {                                                                                      \
        int64_t k = 0;                                                                        \
        for (; k + LANES <= (n); k += LANES) {                                                \
            enum { l = LANES };                                                               \
            __VA_ARGS__                                                                       \
        }                                                                                     \
        if (k < (n)) {                                                                        \
            const int64_t l = (n) - k;                                                        \
            __VA_ARGS__                                                                       \
        }                                                                                     \
    } while (0)
#endif

INLINE V F(get)(const R *p, int64_t l) { return l == LANES ? F(load)(p) : F(load_n)(p, l); }
INLINE void F(set)(R *p, V v, int64_t l) {
    if (l == LANES) F(store)(p, v);
    else F(store_n)(p, v, l);
}
INLINE VI F(all_i)(I i) { return i - (VI){0}; }
INLINE VI F(lane)(void) {
    static const I number[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return *(const F(sl_ivec_at) *)number;
}
/* The lanes that are there, of l. */
INLINE VI F(some)(int64_t l) { return F(lane)() < F(all_i)((I)l); }
INLINE V F(only)(VI mask, V v) { return (V)((VI)v & mask); }
INLINE V F(size)(V v) { return (V)((VI)v & ~(VI)F(all)(-(R)0)); }
#undef SL_LOWEST
#undef SL_HIGHEST
#undef SL_ROUND
#undef SL_MANTISSA
#undef SL_SERIES
#if SL_DOUBLE
#define SL_LOWEST (-708.0)
#define SL_HIGHEST 709.0
#define SL_ROUND 0x1.8p52 /* a sum with it is rounded to an integer, which its last bits hold */
#define SL_MANTISSA 52
#define SL_SERIES 20
#else
#define SL_LOWEST (-87.0f)
#define SL_HIGHEST 88.0f
#define SL_ROUND 0x1.8p23f
#define SL_MANTISSA 23
#define SL_SERIES 13
#endif

/* e^x of x from SL_LOWEST to SL_HIGHEST; nan of nan */
INLINE V F(exp_in)(V x) {
    const V t = F(fused)(x, F(all)((R)1.4426950408889634074), F(all)(SL_ROUND)), n = t - SL_ROUND;
#if SL_DOUBLE
    static const R of[] = {1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0,
                           1 / 362880.0,     1 / 40320.0,     1 / 5040.0,     1 / 720.0,
                           1 / 120.0,        1 / 24.0,        1 / 6.0,        0.5};
    V r = F(fused)(n, F(all)(-6.93147180369123816490e-01), x);
    r = F(fused)(n, F(all)(-1.90821492927058770002e-10), r);
#else
    static const R of[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                           4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    V r = F(fused)(n, F(all)(-0.693359375f), x);
    r = F(fused)(n, F(all)(2.12194440e-4f), r);
#endif
    V p = F(all)(of[0]);
    for (int i = 1; i < (int)(sizeof of / sizeof *of); i++) p = F(fused)(p, r, F(all)(of[i]));
    p = F(fused)(p, r * r, r) + 1;
    return (V)((VI)p + ((VI)t << SL_MANTISSA));
}

#if defined(__AVX512F__)
/* e^x of any finite x; nan or infinity of a huge one below 0 */
INLINE V F(exp_free)(V x) {
#if SL_DOUBLE
    return F(exp_in)(x);
#else
    /* 2^(n / 32) from a table, and a parabola for what is left, 0.011 at most */
    const V t = F(fused)(x, F(all)(1.44269504f), F(all)(0x1.8p18f)), n = t - 0x1.8p18f;
    const V r = F(fused)(n, F(all)(-0.693147182f), x);
    const V p = F(fused)(F(fused)(r, F(all)(0.5f), F(all)(1.0000147f)), r, F(all)(1));
    const __m512 root = _mm512_permutex2var_ps(_mm512_loadu_ps(sl_roots), (__m512i)t,
                                               _mm512_loadu_ps(sl_roots + 16));
    return (V)_mm512_scalef_ps((__m512)((V)root * p), (__m512)n);
#endif
}
#endif

/* e^x, x first brought into range */
INLINE V F(exp_near)(V x) {
    const V low = F(all)(SL_LOWEST), high = F(all)(SL_HIGHEST);
#if defined(__AVX512F__) && SL_DOUBLE
    x = (V)_mm512_min_pd((__m512d)high, _mm512_max_pd((__m512d)low, (__m512d)x));
    return F(exp_free)(x);
#elif defined(__AVX512F__)
    x = (V)_mm512_min_ps((__m512)high, _mm512_max_ps((__m512)low, (__m512)x));
    return F(exp_free)(x);
#else
    x = F(pick)(x < low, low, x);
    return F(exp_in)(F(pick)(x > high, high, x));
#endif
}

/* e^x; 0 where that is not normal */
INLINE V F(exp)(V x) {
#if defined(__AVX512F__) && !SL_DOUBLE
    const __m512 low = _mm512_set1_ps(SL_LOWEST), most = _mm512_set1_ps(1000);
    const __mmask16 there = _mm512_cmp_ps_mask((__m512)x, low, _CMP_NLT_UQ);
    x = (V)_mm512_min_ps(most, _mm512_max_ps(low, (__m512)x));
    return (V)_mm512_maskz_mov_ps(there, (__m512)F(exp_free)(x));
#else
    const R edge = SL_DOUBLE ? (R)709.782712893384 : (R)88.7228394;
    V half = F(exp_near)(x);
    const V over = x - SL_HIGHEST; /* the last bit of range, e^x = e^SL_HIGHEST e^over */
    half = F(pick)(over > 0, half * F(exp_near)(F(pick)(over > 0, over, F(all)(0))), half);
    half = F(pick)(x > edge, F(all)((R)INFINITY), half);
    return F(only)(~(x < SL_LOWEST), half);
#endif
}

/* e^x of x <= 0 */
INLINE V F(exp_below)(V x) {
#if defined(__AVX512F__) && !SL_DOUBLE
    const __m512 low = _mm512_set1_ps(SL_LOWEST);
    const __mmask16 there = _mm512_cmp_ps_mask((__m512)x, low, _CMP_NLT_UQ);
    return (V)_mm512_maskz_mov_ps(there, (__m512)F(exp_free)((V)_mm512_max_ps(low, (__m512)x)));
#else
    return F(only)(~(x < SL_LOWEST), F(exp_near)(x));
#endif
}

/* log(1 + f), f from sqrt(1/2) - 1 to sqrt(2) - 1, + n log(2) + rest, which is small */
INLINE V F(log_near)(V f, V n, V rest) {
#if SL_DOUBLE
    static const R of[] = {1.479819860510658591e-01, 1.531383769920937332e-01,
                           1.818357216161805012e-01, 2.222219843214978396e-01,
                           2.857142874366239149e-01, 3.999999999940941908e-01,
                           6.666666666666735130e-01};
    const V s = f / (f + 2), z = s * s, square = f * f * (R)0.5;
    V p = F(all)(of[0]);
    for (int i = 1; i < 7; i++) p = F(fused)(p, z, F(all)(of[i]));
    const V low = F(fused)(n, F(all)(1.90821492927058770002e-10), rest);
    return F(fused)(n, F(all)(6.93147180369123816490e-01),
                  f - (square - F(fused)(s, F(fused)(p, z, square), low)));
#else
    static const R of[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                           -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                           2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    const V z = f * f;
    V p = F(all)(of[0]);
    for (int i = 1; i < 9; i++) p = F(fused)(p, f, F(all)(of[i]));
    p = F(fused)(p, f * z, F(fused)(n, F(all)(-2.12194440e-4f), rest));
    return F(fused)(n, F(all)(0.693359375f), f + F(fused)(z, F(all)(-0.5f), p));
#endif
}

/* log(1 + x) of x >= 0 */
INLINE V F(log1p)(V x) {
    const V u = x + 1, lost = x - (u - 1);
    const VI half = (VI)F(all)((R)0.70710678118654752440);
    const VI e = ((VI)u - half) >> SL_MANTISSA;
    const V n = (V)(e + (VI)F(all)(SL_ROUND)) - SL_ROUND;
    const V f = (V)((VI)u - (e << SL_MANTISSA)) - 1;
    return F(pick)(x < (R)INFINITY, F(log_near)(f, n, lost / u), x);
}

/* log(1 + x) of x from 0 to 1: no rounding to make up for */
INLINE V F(log1p_unit)(V x) {
    const VI half = x > (R)0.41421356237309504880;
    const V n = F(only)(half, F(all)(1));
    return F(log_near)(F(pick)(half, (x - 1) * (R)0.5, x), n, F(all)(0));
}

/* e^x - 1 - x, to rounding; x at most SL_HIGHEST */
INLINE V F(beyond_line)(V x) {
    const VI small = F(size)(x) < 1;
    const V near = F(only)(small, x);
    V series = F(all)(1);
    for (int k = SL_SERIES; k > 2; k--) series = F(fused)(near * ((R)1 / (R)k), series, F(all)(1));
    return F(pick)(small, near * near * (R)0.5 * series, F(exp_near)(x) - 1 - x);
}

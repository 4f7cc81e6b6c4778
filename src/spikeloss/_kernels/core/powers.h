/* Powers of e. Included once for float and once for double, after simd.h. */

/* What an exponential is made of: x = n ln 2 + r, |r| <= ln 2 / 2, and e^r as a series. */
INLINE V F(e_near)(V x) {
#if SL_DOUBLE
    const V shift = F(all)(0x1.8p52), high = F(all)(0x1.62e42feep-1);
    const V low = F(all)(0x1.a39ef35793c76p-33);
    const I bias = 1022, place = 52;
    static const double terms[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800,
                                   1.0 / 3628800,    1.0 / 362880,    1.0 / 40320,
                                   1.0 / 5040,       1.0 / 720,       1.0 / 120,
                                   1.0 / 24,         1.0 / 6,         0.5};
#else
    const V shift = F(all)(0x1.8p23f), high = F(all)(0x1.62e4p-1f), low = F(all)(0x1.7f7d1cp-20f);
    const I bias = 126, place = 23;
    static const float terms[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                  4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
#endif
    const V turns = F(fused)(x, F(all)((R)1.4426950408889634), shift), n = turns - shift;
    const V r = F(fused)(n, -low, F(fused)(n, -high, x));
    V p = F(all)(terms[0]);
    for (unsigned i = 1; i < sizeof terms / sizeof *terms; i++)
        p = F(fused)(p, r, F(all)(terms[i]));
    p = F(fused)(p, r * r, r) + 1;
    /* twice 2^(n - 1), as 2^n may be beyond the numbers where its product is not */
    return (p + p) * (V)(((VI)turns << place) + (bias << place));
}

#define SL_LEAST (sizeof(R) == 8 ? (R)-708 : (R)-86.5) /* below it e^x counts as 0 */

/* e^x */
INLINE V F(e_to)(V x) {
    const V least = F(all)(SL_LEAST), most = F(all)(sizeof(R) == 8 ? (R)710 : (R)89);
    const M small = F(above)(least, x);
    x = F(blend)(F(above)(x, most), most, x);
    return F(blend)(small, (V){0}, F(e_near)(F(blend)(small, least, x)));
}

/* e^x of x up to about 0 */
INLINE V F(e_down)(V x) {
    const V least = F(all)(SL_LEAST);
#if defined(__AVX512F__) && !SL_DOUBLE
    /* 2^(k / 32) by a table, and the rest, at most ln 2 / 64, by the best square: 6e-8. */
    static const float table[32] = {
        0x1p+0f, 0x1.059b0ep+0f, 0x1.0b5586p+0f, 0x1.11301ep+0f, 0x1.172b84p+0f, 0x1.1d4874p+0f,
        0x1.2387a6p+0f, 0x1.29e9ep+0f, 0x1.306fep+0f, 0x1.371a74p+0f, 0x1.3dea64p+0f,
        0x1.44e086p+0f, 0x1.4bfdaep+0f, 0x1.5342b6p+0f, 0x1.5ab07ep+0f, 0x1.6247ecp+0f,
        0x1.6a09e6p+0f, 0x1.71f75ep+0f, 0x1.7a1148p+0f, 0x1.82589ap+0f, 0x1.8ace54p+0f,
        0x1.93737cp+0f, 0x1.9c4918p+0f, 0x1.a5503cp+0f, 0x1.ae89fap+0f, 0x1.b7f77p+0f,
        0x1.c199bep+0f, 0x1.cb720ep+0f, 0x1.d5818ep+0f, 0x1.dfc974p+0f, 0x1.ea4afap+0f,
        0x1.f50766p+0f};
    const V shift = F(all)(0x1.8p18f); /* a sum with it is rounded to 1 / 32 */
    const V turns = F(fused)(x, F(all)(0x1.715476p+0f), shift), n = turns - shift;
    const V r = F(fused)(n, F(all)(-0x1.62e43p-1f), x); /* ln 2 is 3e-9 from that float */
    const V two = (V)_mm512_permutex2var_ps(_mm512_loadu_ps(table), (__m512i)turns,
                                            _mm512_loadu_ps(table + 16));
    const V e = F(fused)(two, r * F(fused)(r, F(all)(0.5f), F(all)(1.00001466f)), two);
    return (V)_mm512_maskz_scalef_ps(F(not_below)(x, least), (__m512)e, (__m512)n);
#else
    const M small = F(above)(least, x);
    return F(blend)(small, (V){0}, F(e_near)(F(blend)(small, least, x)));
#endif
}

/* The totals of LANES vectors */
INLINE V F(totals)(const V *v) {
#if defined(__AVX512F__) && !SL_DOUBLE
#define SL_FOLD(how, a, b, left, right)                                                       \
    _mm512_add_ps(how((__m512)(a), (__m512)(b), left), how((__m512)(a), (__m512)(b), right))
    __m512 eight[8], four[4];
    for (int i = 0; i < 8; i++) eight[i] = SL_FOLD(_mm512_shuffle_f32x4, v[i], v[i + 8], 0x44, 0xee);
    for (int i = 0; i < 4; i++)
        four[i] = SL_FOLD(_mm512_shuffle_f32x4, eight[i], eight[i + 4], 0x88, 0xdd);
    const __m512 even = SL_FOLD(_mm512_shuffle_ps, four[0], four[2], 0x44, 0xee);
    const __m512 odd = SL_FOLD(_mm512_shuffle_ps, four[1], four[3], 0x44, 0xee);
    const __m512i order = _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
    return (V)_mm512_permutexvar_ps(order, SL_FOLD(_mm512_shuffle_ps, even, odd, 0x88, 0xdd));
#undef SL_FOLD
#else
    V all = {0};
    for (int64_t i = 0; i < LANES; i++) all[i] = F(total)(v[i]);
    return all;
#endif
}

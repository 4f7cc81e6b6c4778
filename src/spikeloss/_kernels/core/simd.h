/* Vectors of R, as wide as the registers of the variant that is compiled. Included once for float
 * and once for double, with SL_DOUBLE 0 and 1. */
#ifndef SL_SIMD_ONCE
#define SL_SIMD_ONCE
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define SL_BYTES 64
#elif defined(__AVX2__)
#define SL_BYTES 32
#else
#define SL_BYTES 16
#endif
#define INLINE static inline __attribute__((always_inline, unused))
#endif

#undef R
#undef I
#undef V
#undef VI
#undef LANES
#undef F
#if SL_DOUBLE
#define R double
#define I int64_t
#define F(name) name##_f64
#else
#define R float
#define I int32_t
#define F(name) name##_f32
#endif
#define V F(sl_vec)
#define VI F(sl_ivec)
#define LANES ((int64_t)(SL_BYTES / sizeof(R)))

typedef R V __attribute__((vector_size(SL_BYTES)));
typedef I VI __attribute__((vector_size(SL_BYTES)));
typedef R F(sl_vec_at) __attribute__((vector_size(SL_BYTES), aligned(sizeof(R)), may_alias));
typedef I F(sl_ivec_at) __attribute__((vector_size(SL_BYTES), aligned(sizeof(R)), may_alias));

INLINE V F(load)(const R *p) { return *(const F(sl_vec_at) *)p; }
INLINE void F(store)(R *p, V v) { *(F(sl_vec_at) *)p = v; }
INLINE V F(all)(R x) { return x - (V){0}; }
INLINE VI F(bits)(V v) { return (VI)v; }
INLINE V F(number)(VI v) { return (V)v; }
/* a where the mask, all bits of a lane or none, is set; else b */
INLINE VI F(pick_int)(VI mask, VI a, VI b) {
#if defined(__AVX512F__) && SL_DOUBLE
    return (VI)_mm512_mask_blend_epi64(_mm512_movepi64_mask((__m512i)mask), (__m512i)b, (__m512i)a);
#elif defined(__AVX512F__)
    return (VI)_mm512_mask_blend_epi32(_mm512_movepi32_mask((__m512i)mask), (__m512i)b, (__m512i)a);
#elif defined(__AVX2__)
    return (VI)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)mask);
#else
    return (a & mask) | (b & ~mask);
#endif
}
INLINE V F(pick)(VI mask, V a, V b) { return (V)F(pick_int)(mask, (VI)a, (VI)b); }
INLINE V F(most)(V a, V b) { return F(pick)(a > b, a, b); } /* b where one is nan */

#if defined(__AVX2__) && !defined(__AVX512F__)
/* The first n lanes, as maskload takes them */
INLINE __m256i F(first_lanes)(int64_t n) {
    static const I from[2 * SL_BYTES / sizeof(R)] = {[0 ... SL_BYTES / sizeof(R) - 1] = -1};
    return _mm256_loadu_si256((const __m256i *)(from + LANES - n));
}
#endif
/* The first n lanes, 0 <= n <= LANES; the others 0. Nothing past them is touched. */
INLINE V F(load_n)(const R *p, int64_t n) {
#if defined(__AVX512F__) && SL_DOUBLE
    return (V)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif defined(__AVX512F__)
    return (V)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__) && SL_DOUBLE
    return n == LANES ? F(load)(p) : (V)_mm256_maskload_pd(p, F(first_lanes)(n));
#elif defined(__AVX2__)
    return n == LANES ? F(load)(p) : (V)_mm256_maskload_ps(p, F(first_lanes)(n));
#else
    if (n == LANES) return F(load)(p);
    V v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
#endif
}
INLINE void F(store_n)(R *p, V v, int64_t n) {
#if defined(__AVX512F__) && SL_DOUBLE
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#elif defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    if (n == LANES) {
        F(store)(p, v);
        return;
    }
#if defined(__AVX2__) && SL_DOUBLE
    _mm256_maskstore_pd(p, F(first_lanes)(n), (__m256d)v);
#elif defined(__AVX2__)
    _mm256_maskstore_ps(p, F(first_lanes)(n), (__m256)v);
#else
    for (int64_t i = 0; i < n; i++) p[i] = v[i];
#endif
#endif
}
INLINE R F(total)(V v) {
#if defined(__AVX512F__) && SL_DOUBLE
    return _mm512_reduce_add_pd((__m512d)v);
#elif defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#else
    R sum = 0;
    for (int64_t i = 0; i < LANES / 2; i++) sum += v[i] + v[i + LANES / 2];
    return sum;
#endif
}
/* The highest lane that is a number */
INLINE R F(highest)(V v) {
#if defined(__AVX512F__) && SL_DOUBLE
    return _mm512_reduce_max_pd((__m512d)v);
#elif defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)v);
#else
    R most = v[0];
    for (int64_t i = 1; i < LANES; i++) most = v[i] > most ? v[i] : most;
    return most;
#endif
}
/* The first n lanes, the others -infinity */
INLINE V F(load_low)(const R *p, int64_t n) {
#if defined(__AVX512F__) && SL_DOUBLE
    return (V)_mm512_mask_loadu_pd((__m512d)F(all)(-INFINITY), (__mmask8)((1u << n) - 1), p);
#elif defined(__AVX512F__)
    return (V)_mm512_mask_loadu_ps((__m512)F(all)(-INFINITY), (__mmask16)((1u << n) - 1), p);
#else
    static const R low[2 * SL_BYTES / sizeof(R)] = {
        [SL_BYTES / sizeof(R)... 2 * SL_BYTES / sizeof(R) - 1] = -(R)INFINITY};
    return F(load_n)(p, n) + F(load)(low + LANES - n);
#endif
}
/* a b + c, rounded once where the machine can */
INLINE V F(fused)(V a, V b, V c) {
#if defined(__AVX512F__) && SL_DOUBLE
    return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX512F__)
    return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && SL_DOUBLE
    return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__FMA__)
    return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}
/* Of lanes: one bit each where the machine has such masks, else all bits of each. */
#undef M
#define M F(sl_mask)
#if defined(__AVX512F__)
typedef uint16_t M;
#if SL_DOUBLE
#define SL_COMPARE(a, how, b) _mm512_cmp_pd_mask((__m512d)(a), (__m512d)(b), how)
#else
#define SL_COMPARE(a, how, b) _mm512_cmp_ps_mask((__m512)(a), (__m512)(b), how)
#endif
INLINE M F(above)(V a, V b) { return SL_COMPARE(a, _CMP_GT_OQ, b); }
INLINE M F(reaches)(V a, V b) { return SL_COMPARE(a, _CMP_GE_OQ, b); }
INLINE M F(differ)(V a, V b) { return SL_COMPARE(a, _CMP_NEQ_UQ, b); }
INLINE M F(not_below)(V a, V b) { return SL_COMPARE(a, _CMP_NLT_UQ, b); }
INLINE M F(either_nan)(V a, V b) { return SL_COMPARE(a, _CMP_UNORD_Q, b); }
/* Whether a is above b, or nan where b is not */
INLINE M F(surpasses)(V a, V b) {
    return SL_COMPARE(a, _CMP_NLE_UQ, b) & SL_COMPARE(b, _CMP_ORD_Q, b);
}
#undef SL_COMPARE
#if SL_DOUBLE
INLINE M F(mask_of)(VI lanes) { return _mm512_movepi64_mask((__m512i)lanes); }
INLINE VI F(blend_int)(M mask, VI a, VI b) {
    return (VI)_mm512_mask_blend_epi64((__mmask8)mask, (__m512i)b, (__m512i)a);
}
INLINE V F(larger)(V a, V b) { return (V)_mm512_max_pd((__m512d)a, (__m512d)b); }
#else
INLINE M F(mask_of)(VI lanes) { return _mm512_movepi32_mask((__m512i)lanes); }
INLINE VI F(blend_int)(M mask, VI a, VI b) {
    return (VI)_mm512_mask_blend_epi32(mask, (__m512i)b, (__m512i)a);
}
INLINE V F(larger)(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
#endif
#else
typedef VI M;
INLINE M F(above)(V a, V b) { return (M)(a > b); }
INLINE M F(reaches)(V a, V b) { return (M)(a >= b); }
INLINE M F(differ)(V a, V b) { return (M)(a != b); }
INLINE M F(not_below)(V a, V b) { return ~(M)(a < b); }
INLINE M F(either_nan)(V a, V b) { return (M)(a != a) | (M)(b != b); }
INLINE M F(surpasses)(V a, V b) { return ~(M)(a <= b) & (M)(b == b); }
INLINE M F(mask_of)(VI lanes) { return lanes; }
INLINE VI F(blend_int)(M mask, VI a, VI b) { return F(pick_int)(mask, a, b); }
#if defined(__AVX2__) && SL_DOUBLE
INLINE V F(larger)(V a, V b) { return (V)_mm256_max_pd((__m256d)a, (__m256d)b); }
#elif defined(__AVX2__)
INLINE V F(larger)(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
#else
INLINE V F(larger)(V a, V b) { return F(most)(a, b); }
#endif
#endif
INLINE V F(blend)(M mask, V a, V b) { return (V)F(blend_int)(mask, (VI)a, (VI)b); } /* b: not set */

/* Lanes that are set, as bits */
INLINE int64_t F(lanes)(M mask) {
#if defined(__AVX512F__)
    return mask;
#elif defined(__AVX2__) && SL_DOUBLE
    return (int64_t)_mm256_movemask_pd((__m256d)mask);
#elif defined(__AVX2__)
    return (int64_t)_mm256_movemask_ps((__m256)mask);
#else
    int64_t bits = 0;
    for (int64_t i = 0; i < LANES; i++) bits |= (int64_t)(mask[i] & 1) << i;
    return bits;
#endif
}
typedef int32_t F(sl_int32) __attribute__((vector_size(SL_BYTES / sizeof(R) * 4)));
/* The first n of int32, as lanes of I; the others 0. */
INLINE VI F(load_int)(const int32_t *p, int64_t n) {
    F(sl_int32) v = {0};
    if (n == LANES) memcpy(&v, p, sizeof v);
    else
        for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return __builtin_convertvector(v, VI);
}
INLINE void F(store_int)(int32_t *p, VI v, int64_t n) {
    F(sl_int32) narrow = __builtin_convertvector(v, F(sl_int32));
    if (n == LANES) memcpy(p, &narrow, sizeof narrow);
    else
        for (int64_t i = 0; i < n; i++) p[i] = narrow[i];
}
/* Remembers whether x is nan or infinite: times 0 it is nan. */
INLINE V F(suspect)(V x, V bad) { return F(fused)(x, (V){0}, bad); }

/* Tiles of a record: some steps of some samples, as rows of N numbers of R that lie together.
 * Included once for float and once for double, after simd.h. */
#ifndef SL_TILE_ONCE
#define SL_TILE_ONCE
#include <stdlib.h>

#include "pool.h"
#include "spikeloss.h"

INLINE int64_t sl_least(int64_t a, int64_t b) { return a < b ? a : b; }

/* n_b */
INLINE int64_t sl_held(const sl_call *c, int64_t b) {
    if (!c->lengths) return c->steps;
    int64_t n = c->wide ? ((const int64_t *)c->lengths)[b] : ((const int32_t *)c->lengths)[b];
    return n < 0 ? 0 : sl_least(n, c->steps);
}

/* How a call is cut: blocks of samples, which threads share, of tiles of steps. It depends on the
 * shape alone, so that results have the same bits for any number of threads. */
typedef struct {
    int64_t samples, steps, blocks;
} sl_cut;

enum { SL_TILE = 16384, SL_DEEP = 16 }; /* entries; steps */

INLINE sl_cut sl_cut_of(const sl_call *c) {
    int64_t n = c->neurons > 0 ? c->neurons : 1, samples = c->samples > 0 ? c->samples : 1;
    sl_cut cut;
    cut.steps = n * SL_DEEP <= SL_TILE ? SL_DEEP : SL_TILE / n > 0 ? SL_TILE / n : 1;
    cut.samples = SL_TILE / (n * cut.steps);
    if (cut.samples < 1) cut.samples = 1;
    if (cut.samples > samples) cut.samples = samples;
    cut.blocks = (c->samples + cut.samples - 1) / cut.samples;
    return cut;
}

INLINE int64_t sl_threads(const sl_call *c) {
    return sl_worth(c->steps * c->samples * c->neurons, c->threads);
}

INLINE float sl_of_bf16(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
INLINE uint16_t sl_to_bf16(float x) { /* to nearest even; nan stays nan */
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)((bits >> 16) | 64);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
INLINE float sl_of_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, bits = (uint32_t)(h & 0x7fff) << 13;
    float x;
    memcpy(&x, &bits, 4);
    x *= 0x1p112f; /* moves the exponent, and makes what was below normal so */
    memcpy(&bits, &x, 4);
    bits |= sign | (bits >= 0x47800000 ? 0x7f800000 : 0); /* infinity, nan */
    memcpy(&x, &bits, 4);
    return x;
}
INLINE uint16_t sl_to_f16(float x) { /* to nearest even */
    uint32_t bits, sign;
    memcpy(&bits, &x, 4);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (bits >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds to 2^16 */
    if (bits < 0x38800000) {                                  /* below normal: by an addition */
        float y;
        memcpy(&y, &bits, 4);
        y += 0.5f;
        memcpy(&bits, &y, 4);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    return (uint16_t)(sign | ((bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13));
}
#endif

/* Rows of steps t.. and samples b..: that of step i, sample j at data + i * time + j * sample. */
typedef struct {
    const R *data;
    int64_t time, sample;
} F(sl_rows);

/* The rows of an array; from it, if they lie so, or gathered into `room`, of as many entries. */
static F(sl_rows) F(sl_load)(const sl_array *a, int64_t n, int64_t t, int64_t steps, int64_t b,
                             int64_t samples, R *room) {
    const int64_t own = sizeof(R) == 8 ? SL_F64 : SL_F32;
    const int64_t at = t * a->time + b * a->sample;
    if (a->type == own && (a->neuron == 1 || n == 1))
        return (F(sl_rows)){(const R *)a->data + at, a->time, a->sample};
    F(sl_rows) rows = {room, samples * n, n};
    /* The axis along which entries lie together goes innermost. */
    int by_step = a->time == 1 && a->neuron != 1;
    int64_t inner = by_step ? steps : n, outer = by_step ? n : steps;
    int64_t from_in = by_step ? a->time : a->neuron, from_out = by_step ? a->neuron : a->time;
    int64_t to_in = by_step ? rows.time : 1, to_out = by_step ? 1 : rows.time;
    /* Samples that lie together are one row. */
    int64_t rows_of = samples;
    if (a->neuron == 1 && a->sample == n) inner = n * samples, outer = steps, rows_of = 1;
#define SL_GATHER(TYPE, READ)                                                                 \
    for (int64_t j = 0; j < rows_of; j++)                                                     \
        for (int64_t o = 0; o < outer; o++) {                                                 \
            const TYPE *from = (const TYPE *)a->data + at + j * a->sample + o * from_out;      \
            R *to = room + j * n + o * to_out;                                                \
            if (from_in == 1 && to_in == 1) {                                                 \
                for (int64_t i = 0; i < inner; i++) {                                         \
                    TYPE e = from[i];                                                         \
                    to[i] = (R)(READ);                                                        \
                }                                                                             \
                continue;                                                                     \
            }                                                                                 \
            for (int64_t i = 0; i < inner; i++) {                                             \
                TYPE e = from[i * from_in];                                                   \
                to[i * to_in] = (R)(READ);                                                    \
            }                                                                                 \
        }                                                                                     \
    break
    switch (a->type) {
    case SL_F32: SL_GATHER(float, e);
    case SL_F64: SL_GATHER(double, e);
    case SL_F16: SL_GATHER(uint16_t, sl_of_f16(e));
    case SL_BF16: SL_GATHER(uint16_t, sl_of_bf16(e));
    case SL_U8: SL_GATHER(uint8_t, e);
    case SL_I32: SL_GATHER(int32_t, e);
    default: SL_GATHER(int64_t, e);
    }
#undef SL_GATHER
    return rows;
}

/* Whether rows of an array can be written where they are to be; else `sl_put` takes them there. */
INLINE int F(sl_direct)(const sl_array *a, int64_t n) {
    return a->type == (sizeof(R) == 8 ? SL_F64 : SL_F32) && (a->neuron == 1 || n == 1);
}

/* Writes rows (steps, samples, n), which lie together in `room`, into an array. */
static void F(sl_put)(const sl_array *a, int64_t n, int64_t t, int64_t steps, int64_t b,
                      int64_t samples, const R *room) {
    const int64_t at = t * a->time + b * a->sample;
    int by_step = a->time == 1 && a->neuron != 1;
    int64_t inner = by_step ? steps : n, outer = by_step ? n : steps;
    int64_t to_in = by_step ? a->time : a->neuron, to_out = by_step ? a->neuron : a->time;
    int64_t from_in = by_step ? samples * n : 1, from_out = by_step ? 1 : samples * n;
    int64_t rows_of = samples;
    if (a->neuron == 1 && a->sample == n) inner = n * samples, outer = steps, rows_of = 1;
#define SL_SPREAD(TYPE, WRITE)                                                                \
    for (int64_t j = 0; j < rows_of; j++)                                                     \
        for (int64_t o = 0; o < outer; o++) {                                                 \
            TYPE *to = (TYPE *)a->data + at + j * a->sample + o * to_out;                      \
            const R *from = room + j * n + o * from_out;                                      \
            if (from_in == 1 && to_in == 1) {                                                 \
                for (int64_t i = 0; i < inner; i++) {                                         \
                    R e = from[i];                                                            \
                    to[i] = (TYPE)(WRITE);                                                    \
                }                                                                             \
                continue;                                                                     \
            }                                                                                 \
            for (int64_t i = 0; i < inner; i++) {                                             \
                R e = from[i * from_in];                                                      \
                to[i * to_in] = (TYPE)(WRITE);                                                \
            }                                                                                 \
        }                                                                                     \
    break
    switch (a->type) {
    case SL_F64: SL_SPREAD(double, e);
    case SL_F16: SL_SPREAD(uint16_t, sl_to_f16((float)e));
    case SL_BF16: SL_SPREAD(uint16_t, sl_to_bf16((float)e));
    default: SL_SPREAD(float, e);
    }
#undef SL_SPREAD
}

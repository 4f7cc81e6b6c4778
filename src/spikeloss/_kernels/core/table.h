/* Kernels by op, for float and for double: tables of one variant. */
#ifndef SL_TABLE_H
#define SL_TABLE_H

#include "spikeloss.h"

enum { SL_KERNELS = SL_BACKWARD + SL_OPS };

typedef int64_t (*sl_kernel)(const sl_call *);
typedef const sl_kernel sl_table[2][SL_KERNELS];

#define SL_JOINED(what, variant) sl_##what##_##variant
#define SL_TABLE_OF(what, variant) SL_JOINED(what, variant)
#define SL_OF_FLOAT(name) name##_f32
#define SL_OF_DOUBLE(name) name##_f64

#endif

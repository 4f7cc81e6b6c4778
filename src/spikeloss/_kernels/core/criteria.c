/* The criteria of every step, for float and for double, as one variant of the machines of a kind. */
#define SL_DOUBLE 0
#include "simd.h"
#include "tile.h"
#include "criteria.h"

#undef SL_DOUBLE
#define SL_DOUBLE 1
#include "simd.h"
#include "tile.h"
#include "criteria.h"

#include "table.h"

const sl_kernel SL_TABLE_OF(criteria, SL_VARIANT)[2][SL_KERNELS] = {
    {SL_CRITERIA(SL_OF_FLOAT)}, {SL_CRITERIA(SL_OF_DOUBLE)}};

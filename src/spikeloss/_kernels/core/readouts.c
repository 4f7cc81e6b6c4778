/* The readouts, for float and for double, as one variant of the machines of a kind. */
#define SL_DOUBLE 0
#include "simd.h"
#include "tile.h"
#include "readouts.h"

#undef SL_DOUBLE
#define SL_DOUBLE 1
#include "simd.h"
#include "tile.h"
#include "readouts.h"

#include "table.h"

const sl_kernel SL_TABLE_OF(readouts, SL_VARIANT)[2][SL_KERNELS] = {
    {SL_READOUTS(SL_OF_FLOAT)}, {SL_READOUTS(SL_OF_DOUBLE)}};

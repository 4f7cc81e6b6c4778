/* Criteria of every step: record, target -> totals of every sample, and back. Included once for
 * float and once for double. */
#include "functions.h"
#include "tiles.h"

#include "numbers.h"
#include "softmax.h"
#include "lanes.h"
#include "distil.h"
#include "train.h"

#define SL_BOTH_WAYS(op, one, OF) [op] = OF(one), [(op) + SL_BACKWARD] = OF(one##_back)
#define SL_CRITERIA(OF)                                                                       \
    SL_BOTH_WAYS(SL_CE, sl_ce, OF), SL_BOTH_WAYS(SL_SOFT_CE, sl_soft, OF),                    \
        SL_BOTH_WAYS(SL_SE, sl_se, OF), SL_BOTH_WAYS(SL_BCE, sl_bce, OF),                     \
        SL_BOTH_WAYS(SL_POISSON, sl_poisson, OF), SL_BOTH_WAYS(SL_DISTIL, sl_distil, OF),     \
        SL_BOTH_WAYS(SL_TRAIN, sl_train, OF)

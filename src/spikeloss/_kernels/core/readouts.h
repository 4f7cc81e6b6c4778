/* Readouts: record -> decision, and back. Included once for float and once for double. */
#include "powers.h"
#include "walk.h"

#include "picks.h"
#include "scatter.h"
#include "sums.h"
#include "traces.h"
#include "votes.h"

#define SL_READOUTS(OF)                                                                       \
    [SL_SUM] = OF(sum), [SL_SUM + SL_BACKWARD] = OF(sum_back), [SL_MAX] = OF(max),             \
    [SL_MAX + SL_BACKWARD] = OF(max_back), [SL_LSE] = OF(lse),                                \
    [SL_LSE + SL_BACKWARD] = OF(lse_back), [SL_VOTES] = OF(votes),                            \
    [SL_VOTES + SL_BACKWARD] = OF(votes_back), [SL_LAST] = OF(last),                          \
    [SL_LAST + SL_BACKWARD] = OF(max_back), [SL_SPIKES] = OF(spikes),                         \
    [SL_SPIKES + SL_BACKWARD] = OF(spikes_back), [SL_FIRST] = OF(first),                      \
    [SL_FIRST + SL_BACKWARD] = OF(first_back), [SL_SOFT] = OF(soft),                          \
    [SL_SOFT + SL_BACKWARD] = OF(soft_back), [SL_CROSS] = OF(cross),                          \
    [SL_CROSS + SL_BACKWARD] = OF(cross_back), [SL_PEAK] = OF(peak),                          \
    [SL_PEAK + SL_BACKWARD] = OF(peak_back), [SL_TRACE] = OF(trace),                          \
    [SL_TRACE + SL_BACKWARD] = OF(trace_back), [SL_WINDOW] = OF(window),                      \
    [SL_WINDOW + SL_BACKWARD] = OF(window_back)

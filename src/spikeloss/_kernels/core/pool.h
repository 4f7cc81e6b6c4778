/* Threads that share chunks of work. Results must not depend on who does which chunk. */
#ifndef SL_POOL_H
#define SL_POOL_H

#include <stdint.h>

typedef void (*sl_task)(void *work, int64_t chunk);

/* task(work, 0), ..., task(work, chunks - 1), by up to so many threads, the caller being one. */
void sl_share(sl_task task, void *work, int64_t chunks, int64_t threads);

/* How many of these threads are worth waking up for so many entries */
int64_t sl_worth(int64_t entries, int64_t threads);

#endif

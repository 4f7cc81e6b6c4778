/* Helpers sleep until there is work, and claim chunks of it; none of them ever spins. */
#include "pool.h"

#ifdef _WIN32

void sl_share(sl_task task, void *work, int64_t chunks, int64_t threads) {
    (void)threads;
    for (int64_t i = 0; i < chunks; i++) task(work, i);
}

#else

#include <pthread.h>
#include <stdatomic.h>

enum { MOST = 63 };

static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER; /* of the pool, for one job at a time */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* of what follows */
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER, ended = PTHREAD_COND_INITIALIZER;
static int64_t helpers, invited, busy; /* threads; those yet to join the job; those at work */
static sl_task now;
static void *what;
static int64_t many;
static atomic_llong next;

static void claim(sl_task task, void *work, int64_t chunks) {
    for (int64_t i; (i = atomic_fetch_add(&next, 1)) < chunks;) task(work, i);
}

static void *help(void *unused) {
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!invited) pthread_cond_wait(&begun, &lock);
        invited--, busy++;
        sl_task task = now;
        void *work = what;
        int64_t chunks = many;
        pthread_mutex_unlock(&lock);
        claim(task, work, chunks);
        pthread_mutex_lock(&lock);
        if (!--busy) pthread_cond_signal(&ended);
    }
    return unused;
}

/* A child process has none of the threads, whatever they did when it was born. */
static void orphaned(void) {
    pthread_mutex_init(&owner, 0);
    pthread_mutex_init(&lock, 0);
    pthread_cond_init(&begun, 0);
    pthread_cond_init(&ended, 0);
    helpers = invited = busy = 0;
}

static void born(void) { pthread_atfork(0, 0, orphaned); }

static void hire(int64_t wanted) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, born);
    while (helpers < wanted && helpers < MOST) {
        pthread_t thread;
        if (pthread_create(&thread, 0, help, 0)) return;
        pthread_detach(thread);
        helpers++;
    }
}

void sl_share(sl_task task, void *work, int64_t chunks, int64_t threads) {
    if (threads > chunks) threads = chunks;
    if (threads < 2 || pthread_mutex_trylock(&owner)) { /* alone, or somebody else has the pool */
        for (int64_t i = 0; i < chunks; i++) task(work, i);
        return;
    }
    pthread_mutex_lock(&lock);
    hire(threads - 1);
    now = task, what = work, many = chunks;
    atomic_store(&next, 0);
    invited = threads - 1 < helpers ? threads - 1 : helpers;
    pthread_cond_broadcast(&begun);
    pthread_mutex_unlock(&lock);
    claim(task, work, chunks);
    pthread_mutex_lock(&lock);
    invited = 0; /* who has not come by now need not */
    while (busy) pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&owner);
}

#endif

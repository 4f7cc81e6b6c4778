/* Helpers sleep until there is work, and claim chunks of it; none of them ever spins. */
#include "pool.h"
#include "spikeloss.h"

#include <stdatomic.h>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef SRWLOCK sl_lock;
typedef CONDITION_VARIABLE sl_signal;
#define SL_UNLOCKED SRWLOCK_INIT
#define SL_SILENT CONDITION_VARIABLE_INIT
#define SL_HELPER DWORD WINAPI

static void take(sl_lock *lock) { AcquireSRWLockExclusive(lock); }
static int took(sl_lock *lock) { return TryAcquireSRWLockExclusive(lock); }
static void leave(sl_lock *lock) { ReleaseSRWLockExclusive(lock); }
static void await(sl_signal *signal, sl_lock *lock) {
    SleepConditionVariableSRW(signal, lock, INFINITE, 0);
}
static void call_all(sl_signal *signal) { WakeAllConditionVariable(signal); }
static int start(LPTHREAD_START_ROUTINE routine) {
    HANDLE thread = CreateThread(0, 0, routine, 0, 0, 0);
    return thread && CloseHandle(thread);
}
#else
#include <pthread.h>

typedef pthread_mutex_t sl_lock;
typedef pthread_cond_t sl_signal;
#define SL_UNLOCKED PTHREAD_MUTEX_INITIALIZER
#define SL_SILENT PTHREAD_COND_INITIALIZER
#define SL_HELPER void *

static void take(sl_lock *lock) { pthread_mutex_lock(lock); }
static int took(sl_lock *lock) { return !pthread_mutex_trylock(lock); }
static void leave(sl_lock *lock) { pthread_mutex_unlock(lock); }
static void await(sl_signal *signal, sl_lock *lock) { pthread_cond_wait(signal, lock); }
static void call_all(sl_signal *signal) { pthread_cond_broadcast(signal); }
static int start(void *(*routine)(void *)) {
    pthread_t thread;
    return !pthread_create(&thread, 0, routine, 0) && !pthread_detach(thread);
}
#endif

enum { MOST = 63 };

static sl_lock owner = SL_UNLOCKED; /* of the pool, for one job at a time */
static sl_lock lock = SL_UNLOCKED;  /* of what follows */
static sl_signal begun = SL_SILENT, ended = SL_SILENT;
static int64_t helpers, invited, busy; /* threads; those yet to join the job; those at work */
static sl_task now;
static void *what;
static int64_t many;
static atomic_llong next;

static void claim(sl_task task, void *work, int64_t chunks) {
    for (int64_t i; (i = atomic_fetch_add(&next, 1)) < chunks;) task(work, i);
}

static SL_HELPER help(void *unused) {
    (void)unused;
    take(&lock);
    for (;;) {
        while (!invited) await(&begun, &lock);
        invited--, busy++;
        sl_task task = now;
        void *work = what;
        int64_t chunks = many;
        leave(&lock);
        claim(task, work, chunks);
        take(&lock);
        if (!--busy) call_all(&ended);
    }
    return 0;
}

#ifdef _WIN32
static void prepare(void) {}
#else
/* A child process has none of the threads, whatever they did when it was born. */
static void orphaned(void) {
    pthread_mutex_init(&owner, 0);
    pthread_mutex_init(&lock, 0);
    pthread_cond_init(&begun, 0);
    pthread_cond_init(&ended, 0);
    helpers = invited = busy = 0;
}

static void born(void) { pthread_atfork(0, 0, orphaned); }

static void prepare(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, born);
}
#endif

static void hire(int64_t wanted) {
    prepare();
    while (helpers < wanted && helpers < MOST && start(help)) helpers++;
}

void sl_share(sl_task task, void *work, int64_t chunks, int64_t threads) {
    if (threads > chunks) threads = chunks;
    if (threads < 2 || !took(&owner)) { /* alone, or somebody else has the pool */
        for (int64_t i = 0; i < chunks; i++) task(work, i);
        return;
    }
    take(&lock);
    hire(threads - 1);
    now = task, what = work, many = chunks;
    atomic_store(&next, 0);
    invited = threads - 1 < helpers ? threads - 1 : helpers;
    call_all(&begun);
    leave(&lock);
    claim(task, work, chunks);
    take(&lock);
    invited = 0; /* who has not come by now need not */
    while (busy) await(&ended, &lock);
    leave(&lock);
    leave(&owner);
}

enum { SHARE = 131072 };

static atomic_llong share = SHARE;

void sl_share_of(int64_t entries) { atomic_store(&share, entries > 0 ? entries : SHARE); }

int64_t sl_worth(int64_t entries, int64_t threads) {
    const int64_t most = entries / atomic_load_explicit(&share, memory_order_relaxed);
    return most < 1 ? 1 : most < threads ? most : threads;
}

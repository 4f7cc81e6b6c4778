/* The one entry: finds the kernel of a call in the table of this machine. */
#if defined(__linux__)
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#endif
#include <stdatomic.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "table.h"

/* The variants of this build, best first, the last of which runs anywhere. */
#define VARIANT(name) {#name, {&sl_readouts_##name, &sl_criteria_##name}}
#if defined(__x86_64__)
extern sl_table sl_readouts_avx512, sl_readouts_avx2, sl_readouts_baseline;
extern sl_table sl_criteria_avx512, sl_criteria_avx2, sl_criteria_baseline;
static const struct {
    const char *name;
    sl_table *tables[2];
} variants[] = {VARIANT(avx512), VARIANT(avx2), VARIANT(baseline)};
/* By the instructions themselves: the table of __builtin_cpu_supports is of libgcc or compiler-rt,
 * which not every linker is given. */
static int runs(int i) {
    /* Bits of leaf 1 in ecx; of leaf 7 in ebx; of what the system saves */
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, F16C = 1 << 29 };
    enum { AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30 };
    enum { OF_YMM = 0x6, OF_ZMM = 0xe6 };
    const unsigned first = FMA | OSXSAVE | F16C, avx512vl = 1u << 31;
    const unsigned wanted = AVX2 | (i ? 0 : AVX512F | AVX512DQ | AVX512BW | avx512vl);
    const unsigned saved = i ? OF_YMM : OF_ZMM;
    unsigned a, b, c, d, saves;
    if (i > 1) return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d) || ~c & first) return 0;
    __asm__("xgetbv" : "=a"(saves), "=d"(d) : "c"(0));
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && !(~b & wanted) && !(~saves & saved);
}
#else
#if defined(__aarch64__)
#define ONLY neon
#else
#define ONLY baseline
#endif
extern sl_table SL_TABLE_OF(readouts, ONLY), SL_TABLE_OF(criteria, ONLY);
#define ONE(name) VARIANT(name)
static const struct {
    const char *name;
    sl_table *tables[2];
} variants[] = {ONE(ONLY)};
static int runs(int i) { return i >= 0; }
#endif

enum { COUNT = sizeof variants / sizeof *variants };

static atomic_int chosen = -1;

static int choice(void) {
    int i = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (i >= 0) return i;
    for (i = 0; !runs(i);) i++;
    atomic_store(&chosen, i);
    return i;
}

int64_t sl_abi(void) { return SL_ABI; }

const char *sl_variant(void) { return variants[choice()].name; }

int64_t sl_choose(const char *variant) {
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(variants[i].name, variant) && runs(i)) {
            atomic_store(&chosen, i);
            return 1;
        }
    return 0;
}

/* Asks for huge pages under a large array that is about to be written: fresh memory of 4 KiB pages
 * takes several times as long to be faulted in as to be written. */
static void prepare(const sl_call *c) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    static const uintptr_t page = 1 << 21;
    static const int64_t size[] = {4, 8, 2, 2, 1, 4, 8};
    const sl_array *g = &c->grad;
    int64_t bytes = c->steps * c->samples * c->neurons * size[g->type];
    if (!g->data || bytes < (int64_t)(4 * page)) return;
    uintptr_t from = ((uintptr_t)g->data + page - 1) & ~(page - 1);
    uintptr_t to = ((uintptr_t)g->data + (uintptr_t)bytes) & ~(page - 1);
    if (from < to) madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
    (void)c;
#endif
}

int64_t sl_run(const sl_call *call) {
    const int64_t forward = call->op % SL_BACKWARD;
    if (call->op < 0 || call->op >= SL_KERNELS) return SL_UNKNOWN;
    sl_table *table = variants[choice()].tables[forward >= SL_CE];
    sl_kernel kernel = (*table)[call->x.type == SL_F64][call->op];
    if (!kernel) return SL_UNKNOWN;
    prepare(call);
    return kernel(call);
}

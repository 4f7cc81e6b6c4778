/* The native core of spikeloss: the two reductions over time, forward and backward.
 *
 * One function, sl_run, is called with one struct. Plain C11 with the vector types of GCC and
 * Clang; no header of Python or of an array library. What a kernel computes is the composed form
 * in Python, whose formula it repeats for speed alone.
 */
#ifndef SPIKELOSS_H
#define SPIKELOSS_H

#include <stdint.h>

#define SL_ABI 3

#ifdef _WIN32
#define SL_API __declspec(dllexport)
#else
#define SL_API __attribute__((visibility("default")))
#endif

enum { SL_F32, SL_F64, SL_F16, SL_BF16, SL_U8, SL_I32, SL_I64 };

/* Kernels; the backward of op is op + SL_BACKWARD. In brackets: option[0], option[1], ...
 * B samples, N neurons, n_b = lengths[b] valid steps. R is float, or double for records of it.
 * Of a sample with n_b = 0 a sum is 0, a maximum -inf, a spike does not come, an entry is 0. */
enum {
    /* Readouts. out[0], out[1], ...; up[i] is the gradient of out[i] where that is a number. The
     * backward of those that pick steps leaves the rest of the gradient, if option[3] says that it
     * is 0 already: MAX, LAST, SPIKES, FIRST, SOFT, CROSS, PEAK. */
    SL_SUM,    /* [tau, 0: none]      R (B,N) sum_t w_t x_t, w_t = exp(-t / tau) or 1 */
    SL_MAX,    /* []                  R (B,N) max_t; int32 (B,N) its first step, -1: none.
                                      nan wins, the first of them */
    SL_LSE,    /* [k]                 R (B,N) m = max_t k x_t (-inf: none; a constant);
                                      R (B,N) sum_t exp(k x_t - m), with m = 0 where m is infinite.
                                      Only up[1]; the backward gets m in out[0] */
    SL_VOTES,  /* []                  R (B,N) sum_t softmax(x_t)_c */
    SL_LAST,   /* []                  R (B,N) x at step n_b - 1; int32 (B,N) that step, -1: none */
    SL_SPIKES, /* [F, check]          R (F,B,N) steps of the first F entries that are not 0, inf: none;
                                      R (F,B,N) those entries, x at n_b - 1 for one that does not come;
                                      int32 (F,B,N) the step of that entry, -1: none.
                                      Only up[1]. With check all valid steps are read, and the result
                                      has SL_NOT_FINITE if one is nan or infinite */
    SL_FIRST,  /* [s, delay, check]   R (B,N) s t, t the step of the first entry that is not 0, else
                                      n_b - 1 + delay; nan where the entry of t, or the last, is
                                      nan or infinite; int32 (B,N) the step of that entry, -1: none,
                                      at which the derivative is -s; check as above */
    SL_SOFT,   /* [F, tau, a, check]  R (B,N) sum_k 1 / (1 + exp((t_k - n_b) / tau)) - a t_1, t_k the
                                      steps of the first F entries that are not 0; t_1 is n_b, or 1
                                      of no steps, where none comes; nan where one of them is nan or
                                      infinite. The derivative of t_k is -1 at t_k, of t_1 where
                                      none comes at n_b - 1. The backward reads x; check as above */
    SL_CROSS,  /* [h, check]          R (B,N) t - 1 + (h - a) / (b - a) at the first t with
                                      b = x_t >= h, a = x_(t-1), 0 before the first step; b - a
                                      counts as 1, a constant, unless b > a; inf: never;
                                      R (B,N) max_t x_t; int32 (B,N) that t, -1: never;
                                      int32 (B,N) the first step of the maximum, -1: none */
    SL_PEAK,   /* [width]             R (B,N) max_t; R (B,N) the sum of x over `width` steps from its
                                      first step on, fewer at the end; R (B,N) how many those are;
                                      int32 (B,N) that step, -1: none. Only up[1] */
    /* Readouts that keep time: grad-like output z in `grad` with its strides, all T steps of it;
     * their backward reads the gradient of z in `y` and writes that of x into `grad`. */
    SL_TRACE,  /* [tau, order, rise, 0: none]   FilteredTrace */
    SL_WINDOW, /* [width]             MovingWindow */
    /* Criteria of every step: totals of a sample, sums over its valid steps. up[0] like out[0].
     * y: labels I64, or numbers R; its strides may be 0 (the same for every step). */
    SL_CE,     /* [e, ignore?, label] R (B,1) of labels, smoothing e; int32 (B,1) steps that count,
                                      or NULL */
    SL_SOFT_CE,/* [e]                 R (B,1) of probabilities (B|T,B; N) */
    SL_SE,     /* [tolerance, delta, 0: none]   R (B,N) SquaredError, without steps_power */
    SL_BCE,    /* [slope, threshold]  R (B,N) */
    SL_POISSON,/* []                  R (B,N) */
    SL_DISTIL, /* [temperature]       R (B,1) */
    SL_TRAIN,  /* [tau]               R (B,N) sum_t z_t^2, z_t = exp(-1/tau) z_(t-1) + x_t - y_t */
    SL_OPS,
    SL_BACKWARD = 64
};

enum { SL_OK = 0, SL_NOT_FINITE = 1, SL_UNKNOWN = -1, SL_MEMORY = -2 };

/* (T,B,N) by strides in elements. */
typedef struct {
    void *data;
    int64_t time, sample, neuron, type;
} sl_array;

/* Every member has eight bytes, so that Python can pack it. */
typedef struct {
    int64_t op, threads, steps, samples, neurons;
    sl_array x;          /* the record */
    sl_array y;          /* the target of a criterion */
    sl_array grad;       /* the gradient, or what keeps time: every entry is written, 0 past n_b */
    const void *lengths; /* (B) n_b <= T, or NULL: all T */
    int64_t wide;        /* whether they are int64, else int32 */
    const void *up[3];   /* gradients of outputs, contiguous; NULL: 0 */
    void *out[4];        /* outputs, contiguous; a backward reads there what its forward wrote */
    double option[4];
} sl_call;

/* SL_OK or SL_NOT_FINITE, or what is below 0 for an error, with nothing computed. */
SL_API int64_t sl_run(const sl_call *call);

/* SL_ABI; "avx512", "avx2", "neon", "baseline": what runs; and the choice of another, 0 where this machine
 * has it not. */
SL_API int64_t sl_abi(void);
SL_API const char *sl_variant(void);
SL_API int64_t sl_choose(const char *variant);

/* Of how many entries each thread has a share at least, which is worth its waking up; 0: as built. */
SL_API void sl_share_of(int64_t entries);

#endif

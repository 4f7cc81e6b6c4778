/* What of XLA's interface for foreign functions (FFI 0.x, CPU) a handler needs, declared here so
 * that no header of jaxlib is needed. Every struct begins with its size and a list of extensions;
 * XLA only ever appends members, as long as the major version stays. */
#ifndef SL_XLA_H
#define SL_XLA_H

#include <stddef.h>
#include <stdint.h>

#include "spikeloss.h"

enum { XLA_MAJOR = 0, XLA_MINOR = 1 }; /* the version of what stands here */

enum { XLA_METADATA = 1 };      /* of extensions */
enum { XLA_EXECUTE = 3 };       /* of stages */
enum { XLA_BUFFER = 1 };        /* of arguments and results */
enum { XLA_ARRAY = 1 };         /* of attributes */
enum { XLA_INVALID = 3, XLA_EXHAUSTED = 8, XLA_UNIMPLEMENTED = 12 }; /* of errors */
enum { XLA_PRED = 1, XLA_S32 = 4, XLA_S64 = 5, XLA_U8 = 6, XLA_F16 = 10, XLA_F32 = 11,
       XLA_F64 = 12, XLA_BF16 = 16 };

typedef struct xla_extension {
    size_t size;
    int type;
    struct xla_extension *next;
} xla_extension;

#define XLA_HEAD size_t size; xla_extension *extensions

typedef struct { XLA_HEAD; int major, minor; } xla_version;

/* What XLA asks a handler for, once it is registered. */
typedef struct { size_t size; xla_version version; uint32_t traits; } xla_metadata;
typedef struct { xla_extension head; xla_metadata *metadata; } xla_metadata_extension;

typedef struct xla_error xla_error;
typedef struct { XLA_HEAD; const char *message; int code; } xla_new_error;

typedef struct {
    XLA_HEAD;
    xla_version version;
    const void *internal;
    xla_error *(*create_error)(xla_new_error *);
} xla_api;

/* Row-major. */
typedef struct { XLA_HEAD; int type; void *data; int64_t rank, *dims; } xla_buffer;

typedef struct { const char *text; size_t length; } xla_name;
typedef struct { int type; size_t length; void *data; } xla_array;

typedef struct { XLA_HEAD; int64_t many; int *types; void **all; } xla_list;
typedef struct { XLA_HEAD; int64_t many; int *types; xla_name **names; void **all; } xla_attributes;

typedef struct {
    XLA_HEAD;
    const xla_api *api;
    void *context;
    int stage;
    xla_list arguments, results;
    xla_attributes attributes; /* sorted by name */
} xla_frame;

/* The handler of all kernels; NULL, or an error. Attributes: `how`, int64, by the names below, and
 * `options`, double. Arguments: the record (T,B,N), or (B,T,N) if so said; lengths (B); y; what the
 * forward gave; gradients of outputs, those whose bit is set in `up`. Results: the outputs; what
 * keeps time; of a backward the gradient. */
enum { HOW_OP, HOW_THREADS, HOW_BATCH_FIRST, HOW_LENGTHS, HOW_TARGET, HOW_OUT, HOW_UP, HOW_KEEPS,
       HOW_MANY };
enum { NO_TARGET, LABEL_OF_SAMPLE, LABEL_OF_STEP, ROW_OF_SAMPLE, ROW_OF_STEP };

SL_API xla_error *sl_xla(xla_frame *frame);

#endif

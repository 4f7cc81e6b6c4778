/* The kernels as a foreign function of XLA on the CPU: a call frame becomes an sl_call. */
#include <stdlib.h>
#include <string.h>

#include "xla.h"

static xla_error *refuse(const xla_frame *f, int code, const char *message) {
    xla_new_error error = {sizeof error, NULL, message, code};
    return f->api->create_error(&error);
}

/* Answers which version this handler is made for: of the same major one, XLA's own. */
static xla_error *describe(const xla_frame *f, xla_metadata *metadata) {
    metadata->version.major = XLA_MAJOR;
    metadata->version.minor = XLA_MINOR;
    if (f->api && f->api->version.major == XLA_MAJOR && f->api->version.minor > XLA_MINOR)
        metadata->version.minor = f->api->version.minor;
    metadata->traits = 0;
    return NULL;
}

/* What is wrong with a frame, or NULL: everything that is read is there. */
static const char *fault(const xla_frame *f) {
    if (f->api->version.major != XLA_MAJOR) return "spikeloss: another major version of XLA's FFI";
    if (f->size < sizeof *f || f->arguments.size < sizeof f->arguments ||
        f->results.size < sizeof f->results || f->attributes.size < sizeof f->attributes)
        return "spikeloss: structs of XLA's FFI are smaller than expected";
    for (int64_t i = 0; i < f->arguments.many; i++)
        if (f->arguments.types[i] != XLA_BUFFER) return "spikeloss: an argument is no buffer";
    for (int64_t i = 0; i < f->results.many; i++)
        if (f->results.types[i] != XLA_BUFFER) return "spikeloss: a result is no buffer";
    return NULL;
}

static const void *attribute(const xla_frame *f, int64_t i, const char *name, int type,
                             size_t length) {
    if (i >= f->attributes.many || f->attributes.types[i] != XLA_ARRAY) return NULL;
    const xla_name *found = f->attributes.names[i];
    const xla_array *array = f->attributes.all[i];
    if (found->length != strlen(name) || memcmp(found->text, name, found->length)) return NULL;
    return array->type == type && array->length == length ? array->data : NULL;
}

static int64_t kind(int type) {
    switch (type) {
    case XLA_F32: return SL_F32;
    case XLA_F64: return SL_F64;
    case XLA_F16: return SL_F16;
    case XLA_BF16: return SL_BF16;
    case XLA_PRED:
    case XLA_U8: return SL_U8;
    case XLA_S32: return SL_I32;
    case XLA_S64: return SL_I64;
    default: return -1;
    }
}

/* A buffer that lies as the record does; 0 if it is none. */
static int like_record(const xla_buffer *b, const int64_t *how, sl_array *to) {
    if (b->rank != 3 || kind(b->type) < 0) return 0;
    const int64_t row = b->dims[2], outer = row * b->dims[1];
    *to = how[HOW_BATCH_FIRST] ? (sl_array){b->data, row, outer, 1, kind(b->type)}
                               : (sl_array){b->data, outer, row, 1, kind(b->type)};
    return 1;
}

/* The target of a criterion; a stride is 0 along an axis that it has not. */
static int target(const xla_buffer *b, int64_t which, const sl_call *c, sl_array *to) {
    static const int ranks[] = {0, 1, 2, 2, 3};
    const int rows = which >= ROW_OF_SAMPLE, steps = which == LABEL_OF_STEP || which == ROW_OF_STEP;
    if (which < LABEL_OF_SAMPLE || which > ROW_OF_STEP || b->rank != ranks[which]) return 0;
    if (kind(b->type) < 0) return 0;
    const int64_t row = rows ? b->dims[b->rank - 1] : 1;
    *to = (sl_array){b->data, steps ? row * c->samples : 0, row, rows, kind(b->type)};
    return 1;
}

/* Labels as the kernels read them: those of 32 bits are copied, and the copy is to be freed. */
static int64_t *widened(const xla_buffer *b, sl_array *y) {
    int64_t many = 1;
    for (int64_t i = 0; i < b->rank; i++) many *= b->dims[i];
    int64_t *room = malloc((size_t)(many ? many : 1) * sizeof *room);
    for (int64_t i = 0; room && i < many; i++) room[i] = ((const int32_t *)b->data)[i];
    y->data = room, y->type = SL_I64;
    return room;
}

/* NULL, or what does not fit. */
static const char *fill(const xla_frame *f, const int64_t *how, sl_call *c) {
    int64_t next = 0, lists = 1 + how[HOW_LENGTHS] + !!how[HOW_TARGET] + how[HOW_OUT];
    xla_buffer **in = (xla_buffer **)f->arguments.all, **to = (xla_buffer **)f->results.all;
    for (int i = 0; i < 3; i++) lists += how[HOW_UP] >> i & 1;
    if (how[HOW_OUT] > 4 || lists != f->arguments.many) return "spikeloss: the number of arguments";
    const xla_buffer *x = in[next++];
    if (!like_record(x, how, &c->x)) return "spikeloss: the shape or type of the record";
    c->steps = x->dims[how[HOW_BATCH_FIRST] ? 1 : 0];
    c->samples = x->dims[how[HOW_BATCH_FIRST] ? 0 : 1];
    c->neurons = x->dims[2];
    if (how[HOW_LENGTHS]) {
        const xla_buffer *b = in[next++];
        if (b->rank != 1 || b->dims[0] != c->samples || (b->type != XLA_S32 && b->type != XLA_S64))
            return "spikeloss: the shape or type of lengths";
        c->lengths = b->data, c->wide = b->type == XLA_S64;
    }
    if (how[HOW_TARGET] && !target(in[next++], how[HOW_TARGET], c, &c->y))
        return "spikeloss: the shape or type of the target";
    for (int i = 0; i < how[HOW_OUT]; i++) c->out[i] = in[next++]->data;
    const int back = c->op >= SL_BACKWARD, in_grad = back || how[HOW_KEEPS];
    if (back && how[HOW_KEEPS]) { /* the gradient of what keeps time */
        if (!(how[HOW_UP] & 1) || !like_record(in[next++], how, &c->y))
            return "spikeloss: the gradient of what keeps time";
    } else
        for (int i = 0; i < 3; i++)
            if (how[HOW_UP] >> i & 1) c->up[i] = in[next++]->data;
    if (in_grad ? f->results.many != 1 : f->results.many > 4) return "spikeloss: the results";
    if (in_grad) return like_record(to[0], how, &c->grad) ? NULL : "spikeloss: the gradient";
    for (int i = 0; i < f->results.many; i++) c->out[i] = to[i]->data;
    return NULL;
}

xla_error *sl_xla(xla_frame *f) {
    for (xla_extension *e = f->extensions; e; e = e->next)
        if (e->type == XLA_METADATA) return describe(f, ((xla_metadata_extension *)e)->metadata);
    const char *wrong = fault(f);
    if (wrong) return refuse(f, XLA_UNIMPLEMENTED, wrong);
    if (f->stage != XLA_EXECUTE) return NULL;
    const int64_t *how = attribute(f, 0, "how", XLA_S64, HOW_MANY);
    const double *options = attribute(f, 1, "options", XLA_F64, 4);
    if (!how || !options) return refuse(f, XLA_INVALID, "spikeloss: the attributes");
    sl_call call = {.op = how[HOW_OP], .threads = how[HOW_THREADS]};
    memcpy(call.option, options, sizeof call.option);
    wrong = fill(f, how, &call);
    if (wrong) return refuse(f, XLA_INVALID, wrong);
    int64_t *labels = NULL;
    if (call.y.data && call.y.type == SL_I32) {
        labels = widened(f->arguments.all[1 + how[HOW_LENGTHS]], &call.y);
        if (!labels) return refuse(f, XLA_EXHAUSTED, "spikeloss: out of memory");
    }
    const int64_t status = sl_run(&call);
    free(labels);
    switch (status) {
    case SL_OK: return NULL;
    case SL_NOT_FINITE: return refuse(f, XLA_INVALID, "record: expected finite numbers");
    case SL_MEMORY: return refuse(f, XLA_EXHAUSTED, "spikeloss: out of memory");
    default: return refuse(f, XLA_UNIMPLEMENTED, "spikeloss: no such kernel");
    }
}

/* Walks over a record by blocks of cells, a cell being a neuron of a sample, and by tiles of steps
 * within a block. Included once for float and once for double, after tile.h. */
#ifndef SL_WALK_ONCE
#define SL_WALK_ONCE

/* Cells of a block, and most of them; steps of a tile, and most */
enum { SL_CELLS = 1024, SL_WIDE = 4096, SL_STEPS = 16, SL_LONG = 128 };

/* How a call is cut, by shape and strides alone. A block has some samples, or a part of the
 * neurons of one. */
typedef struct {
    const sl_call *call;
    int64_t width, parts, samples, steps, blocks;
    int64_t status;
    double *table; /* what a kernel knows of the steps, made by the thread that calls */
    int64_t entries;
} sl_walk;

typedef struct {
    sl_walk *walk;
    const sl_call *call;
    int64_t first, many;      /* samples */
    int64_t neuron, width;    /* neurons */
    int64_t at, cells, steps; /* first cell, in outputs, where the cells lie together; of a tile */
} sl_block;

INLINE int64_t sl_more(int64_t a, int64_t b) { return a > b ? a : b; }

/* Whether the steps of a neuron lie together */
INLINE int sl_by_step(const sl_array *a) { return a->data && a->time == 1 && a->neuron != 1; }

INLINE sl_walk sl_walk_of(const sl_call *c, int64_t cells, int whole) {
    const int64_t n = sl_more(c->neurons, 1), room = SL_STEPS * cells;
    /* Then tiles are longer, of fewer cells: each takes whole lines of memory. */
    if (sl_by_step(&c->x) || sl_by_step(&c->grad)) cells = sl_least(cells, SL_CELLS / 8);
    sl_walk w = {c, n, 1, 1, 1, 0, SL_OK, 0, 0};
    if (n > cells && !whole) {
        w.parts = (n + cells - 1) / cells;
        w.width = ((n + w.parts - 1) / w.parts + 15) / 16 * 16;
        w.parts = (n + w.width - 1) / w.width;
    }
    w.samples = sl_least(sl_more(cells / w.width, 1), sl_more(c->samples, 1));
    /* Of many blocks four or eight or so: the longer what lies together, the faster memory is. */
    const int64_t fours = (c->samples * n + 4 * SL_WIDE - 1) / (4 * SL_WIDE);
    if (cells == SL_CELLS && c->samples > 2 * w.samples && c->samples >= 8 * fours)
        w.samples = sl_more(w.samples, (c->samples + 4 * fours - 1) / (4 * fours));
    w.steps = sl_more(SL_STEPS, room / (w.samples * w.width));
    w.steps = sl_least(w.steps, SL_LONG);
    w.blocks = c->neurons > 0 ? (c->samples + w.samples - 1) / w.samples * w.parts : 0;
    return w;
}

INLINE sl_block sl_block_of(sl_walk *w, int64_t i) {
    sl_block b = {.walk = w, .call = w->call, .steps = w->steps};
    b.first = i / w->parts * w->samples;
    b.many = sl_least(w->samples, w->call->samples - b.first);
    b.neuron = i % w->parts * w->width;
    b.width = sl_least(w->width, w->call->neurons - b.neuron);
    b.at = b.first * w->call->neurons + b.neuron;
    b.cells = b.many * b.width;
    return b;
}

INLINE int64_t sl_walked(sl_walk *w, sl_task block) {
    sl_share(block, w, w->blocks, sl_threads(w->call));
    return w->status;
}

/* A call, by blocks of cells. */
INLINE int64_t sl_by_cells(const sl_call *c, sl_task block) {
    sl_walk w = sl_walk_of(c, SL_CELLS, 0);
    return sl_walked(&w, block);
}

/* Errors, which are below 0, come before what was found. */
INLINE void sl_report(sl_walk *w, int64_t status) {
    int64_t before = SL_OK;
    if (status < 0) __atomic_store_n(&w->status, status, __ATOMIC_RELAXED);
    else
        __atomic_compare_exchange_n(&w->status, &before, status, 0, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
}

INLINE int64_t sl_size(int64_t type) {
    return type == SL_F64 || type == SL_I64 ? 8 : type == SL_F32 || type == SL_I32 ? 4
         : type == SL_U8 ? 1 : 2;
}

/* The neurons of a block */
INLINE sl_array sl_part(sl_array a, const sl_block *b) {
    if (a.data) a.data = (char *)a.data + b->neuron * a.neuron * sl_size(a.type);
    return a;
}

INLINE void sl_clear(const sl_array *a, int64_t n, int64_t t, int64_t steps, int64_t b,
                     int64_t samples) {
    const int64_t size = sl_size(a->type), row = a->neuron == 1 || n == 1;
    if (a->time == 1 && !row) {
        for (int64_t j = b; j < b + samples; j++)
            for (int64_t k = 0; k < n; k++)
                memset((char *)a->data + (t + j * a->sample + k * a->neuron) * size, 0,
                       (size_t)(steps * size));
        return;
    }
    const int64_t flat = row && a->sample == n;
    for (int64_t i = t; i < t + steps; i++)
        for (int64_t j = b; j < (flat ? b + 1 : b + samples); j++) {
            char *to = (char *)a->data + (i * a->time + j * a->sample) * size;
            if (row)
                memset(to, 0, (size_t)((flat ? samples : 1) * n * size));
            else
                for (int64_t k = 0; k < n; k++) memset(to + k * a->neuron * size, 0, (size_t)size);
        }
}
#endif

/* One entry */
static inline R F(sl_at)(const sl_array *a, int64_t t, int64_t b, int64_t k) {
    const int64_t i = t * a->time + b * a->sample + k * a->neuron;
    switch (a->type) {
    case SL_F32: return (R)((const float *)a->data)[i];
    case SL_F64: return (R)((const double *)a->data)[i];
    case SL_F16: return (R)sl_of_f16(((const uint16_t *)a->data)[i]);
    case SL_BF16: return (R)sl_of_bf16(((const uint16_t *)a->data)[i]);
    case SL_U8: return (R)((const uint8_t *)a->data)[i];
    case SL_I32: return (R)((const int32_t *)a->data)[i];
    default: return (R)((const int64_t *)a->data)[i];
    }
}

static inline void F(sl_set)(const sl_array *a, int64_t t, int64_t b, int64_t k, R x) {
    const int64_t i = t * a->time + b * a->sample + k * a->neuron;
    switch (a->type) {
    case SL_F64: ((double *)a->data)[i] = (double)x; break;
    case SL_F16: ((uint16_t *)a->data)[i] = sl_to_f16((float)x); break;
    case SL_BF16: ((uint16_t *)a->data)[i] = sl_to_bf16((float)x); break;
    default: ((float *)a->data)[i] = (float)x;
    }
}

/* What a kernel does with a tile: steps t.. of cells that lie together in every row, the first of
 * them `cell` of the block. x: entries read, rows `time` apart; z: entries written, rows `to` apart. */
typedef void (*F(sl_visit))(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                            int64_t t, int64_t cell, int64_t cells);

typedef struct {
    const sl_array *from, *to; /* of these neurons, or NULL */
    int backwards;             /* from the last tile to the first */
    const int64_t *left;       /* ends once this is 0; NULL: never */
    F(sl_visit) visit;
    void *state;
} F(sl_tour);

static int64_t F(sl_rooms)(const F(sl_tour) *o, const sl_block *b) {
    const int64_t own = b->steps * b->cells;
    return (o->from && !F(sl_direct)(o->from, b->width) ? own : 0) +
           (o->to && !F(sl_direct)(o->to, b->width) ? own : 0);
}

/* Visits the valid steps of every cell, tile by tile; what is written past them is 0. */
static void F(sl_over_tile)(const F(sl_tour) *o, const sl_block *b, R *room, int64_t t, int64_t steps,
                       int64_t shortest) {
    const int64_t n = b->width, own = b->steps * b->cells;
    F(sl_rows) x = {0, 0, n}, z = {0, 0, n};
    R *in = room, *out = room;
    if (o->from) {
        x = F(sl_load)(o->from, n, t, steps, b->first, b->many, in);
        if (!F(sl_direct)(o->from, n)) out += own;
    }
    const int through = o->to && !F(sl_direct)(o->to, n);
    if (through) z = (F(sl_rows)){out, b->cells, n};
    else if (o->to)
        z = (F(sl_rows)){(R *)o->to->data + t * o->to->time + b->first * o->to->sample,
                         o->to->time, o->to->sample};
    if (t + steps <= shortest && (b->many == 1 || (x.sample == n && z.sample == n))) {
        o->visit(o->state, x.data, x.time, (R *)z.data, z.time, steps, t, 0, b->cells);
    } else {
        for (int64_t j = 0; j < b->many; j++) {
            const int64_t rest = sl_held(b->call, b->first + j) - t;
            const int64_t held = rest < 0 ? 0 : sl_least(rest, steps);
            R *row = o->to ? (R *)z.data + j * z.sample : 0;
            if (held)
                o->visit(o->state, x.data ? x.data + j * x.sample : 0, x.time, row, z.time, held, t,
                         j * n, n);
            if (o->to)
                for (int64_t i = held; i < steps; i++)
                    memset(row + i * z.time, 0, (size_t)n * sizeof(R));
        }
    }
    if (through) F(sl_put)(o->to, n, t, steps, b->first, b->many, out);
}

static void F(sl_each)(const F(sl_tour) *o, const sl_block *b, R *room) {
    int64_t longest = 0, shortest = b->call->steps;
    for (int64_t j = 0; j < b->many; j++) {
        const int64_t held = sl_held(b->call, b->first + j);
        longest = sl_more(longest, held), shortest = sl_least(shortest, held);
    }
    if (o->to && longest < b->call->steps)
        sl_clear(o->to, b->width, longest, b->call->steps - longest, b->first, b->many);
    const int64_t tiles = (longest + b->steps - 1) / b->steps;
    for (int64_t i = 0; i < tiles && !(o->left && !*o->left); i++) {
        const int64_t t = (o->backwards ? tiles - 1 - i : i) * b->steps;
        F(sl_over_tile)(o, b, room, t, sl_least(b->steps, longest - t), shortest);
    }
}

/* Memory of `more` bytes, and `room` behind them for the tiles of a tour; NULL: there is none. */
static void *F(sl_scratch)(const F(sl_tour) *o, const sl_block *b, int64_t more, R **room) {
    const int64_t tiles = F(sl_rooms)(o, b) * (int64_t)sizeof(R);
    char *all = malloc((size_t)(more + tiles + 64));
    if (!all) {
        sl_report(b->walk, SL_MEMORY);
        return 0;
    }
    *room = (R *)(all + (more + 7) / 8 * 8);
    return all;
}

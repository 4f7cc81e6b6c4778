/* Readouts that pick steps: the maximum, the last, the first spikes, a crossing, a peak. Included
 * once for float and once for double, after walk.h. */

/* What they find of every cell of a block, in outputs that lie together. */
typedef struct F(sl_found) {
    R *top, *entry, *when;
    int32_t *step, *crossed;
    void *room;
    void (*end)(const sl_block *, struct F(sl_found) *); /* after the last tile */
    int64_t stride, spikes, left; /* of outputs of one spike; F; cells that wait for more */
    int64_t check, width;
    R threshold;
    V bad; /* nan once something was not finite */
} F(sl_found);

/* Whether lanes of `bits`, those of one number or of several, hold one that is not 0 */
INLINE M F(nonzero)(VI bits) { return F(mask_of)((VI)((bits << 1) != 0)); }

/* max_t x_t and the first step that reaches it; nan wins. */
INLINE void F(higher)(V x, int64_t t, V *top, VI *step) {
    const M new = F(surpasses)(x, *top);
    *top = F(blend)(new, x, *top);
    *step = F(blend_int)(new, (VI){0} + (I)t, *step);
}

INLINE void F(max_cells)(F(sl_found) *f, const R *x, int64_t time, int64_t steps, int64_t t,
                         int64_t cell, int64_t n) {
    V top = F(load_n)(f->top + cell, n), before;
    VI step = F(load_int)(f->step + cell, n);
    M nan = F(mask_of)((VI){0});
    int64_t i = t == 0, from = i;
    if (i) top = F(load_n)(x, n), step = (VI){0};
    before = top;
    for (; i + 2 <= steps; i += 2) {
        const V v = F(load_n)(x + i * time, n), w = F(load_n)(x + (i + 1) * time, n);
        nan |= F(either_nan)(v, w);
        step = F(blend_int)(F(above)(v, top), (VI){0} + (I)(t + i), step);
        top = F(larger)(v, top);
        step = F(blend_int)(F(above)(w, top), (VI){0} + (I)(t + i + 1), step);
        top = F(larger)(w, top);
    }
    if (i < steps || F(lanes)(nan)) {
        if (F(lanes)(nan)) { /* from the beginning, with more care */
            i = from, top = before;
            step = from ? (VI){0} : F(load_int)(f->step + cell, n);
        }
        for (; i < steps; i++) F(higher)(F(load_n)(x + i * time, n), t + i, &top, &step);
    }
    F(store_n)(f->top + cell, top, n);
    F(store_int)(f->step + cell, step, n);
}

static void F(max_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                        int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    for (int64_t i = 0; i < steps; i += 8) {
        const int64_t now = sl_least(8, steps - i);
        const R *from = x + i * time;
        int64_t k = 0;
        for (; k + LANES <= cells; k += LANES)
            F(max_cells)(state, from + k, time, now, t + i, cell + k, LANES);
        if (k < cells) F(max_cells)(state, from + k, time, now, t + i, cell + k, cells - k);
    }
}

/* A tour over the record alone, with room for a state of `more` bytes, which begins as 0. */
static void F(find)(const sl_block *b, F(sl_visit) visit, F(sl_found) *f, const int64_t *left,
                    int64_t more) {
    const sl_array x = sl_part(b->call->x, b);
    const F(sl_tour) tour = {&x, 0, 0, left, visit, f};
    R *room;
    void *all = F(sl_scratch)(&tour, b, more, &room);
    if (!all) return;
    if (more) f->room = memset(all, 0, (size_t)more);
    F(sl_each)(&tour, b, room);
    if (f->end) f->end(b, f);
    free(all);
    if (f->check && F(lanes)(F(either_nan)(f->bad, f->bad))) sl_report(b->walk, SL_NOT_FINITE);
}

static F(sl_found) F(none_found)(const sl_block *b, int top, int step) {
    const sl_call *c = b->call;
    F(sl_found) f = {.top = (R *)c->out[top] + b->at, .step = (int32_t *)c->out[step] + b->at};
    for (int64_t i = 0; i < b->cells; i++) f.top[i] = -(R)INFINITY, f.step[i] = -1;
    return f;
}

static void F(max_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    F(sl_found) f = F(none_found)(&b, 0, 1);
    F(find)(&b, F(max_tile), &f, 0, 0);
}

static int64_t F(max)(const sl_call *c) {
    return sl_by_cells(c, F(max_block));
}

/* x at the last valid step */
static void F(last_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    const sl_call *c = b.call;
    R *last = (R *)c->out[0] + b.at;
    int32_t *step = (int32_t *)c->out[1] + b.at;
    for (int64_t j = 0, i = 0; j < b.many; j++) {
        const int64_t held = sl_held(c, b.first + j);
        for (int64_t k = 0; k < b.width; k++, i++) {
            last[i] = held ? F(sl_at)(&c->x, held - 1, b.first + j, b.neuron + k) : 0;
            step[i] = (int32_t)(held - 1);
        }
    }
}

static int64_t F(last)(const sl_call *c) {
    return sl_by_cells(c, F(last_block));
}

/* Notes the spikes of lanes that wait, in some steps that have one. */
static void F(note_spikes)(F(sl_found) *f, const R *x, int64_t time, int64_t steps, int64_t t,
                           M waits, int64_t cell, int64_t n) {
    V entry = F(load_n)(f->entry + cell, n);
    VI step = F(load_int)(f->step + cell, n);
    const int64_t before = F(lanes)(waits);
    for (int64_t s = 0; s < steps; s++) {
        const V v = F(load_n)(x + s * time, n);
        const M hit = F(nonzero)((VI)v) & waits;
        entry = F(blend)(hit, v, entry);
        step = F(blend_int)(hit, (VI){0} + (I)(t + s), step);
        waits &= ~hit;
    }
    F(store_n)(f->entry + cell, entry, n);
    F(store_int)(f->step + cell, step, n);
    f->left -= __builtin_popcountll((uint64_t)(before ^ F(lanes)(waits)));
}

/* The first spike of LANES cells or fewer in at most eight steps; without one they cost their
 * reading alone. */
INLINE void F(spike_cells)(F(sl_found) *f, const R *x, int64_t time, int64_t steps, int64_t t,
                           int64_t cell, int64_t n, int check) {
    const M waits = F(mask_of)((VI)(F(load_int)(f->step + cell, n) < 0));
    if (!F(lanes)(waits) && !check) return;
    V bad = f->bad, worse = {0};
    VI seen = {0}, more = {0};
    int64_t s = 0;
    for (; s + 2 <= steps; s += 2) {
        const V v = F(load_n)(x + s * time, n), w = F(load_n)(x + (s + 1) * time, n);
        seen |= (VI)v, more |= (VI)w;
        if (check) bad = F(suspect)(v, bad), worse = F(suspect)(w, worse);
    }
    if (s < steps) {
        const V v = F(load_n)(x + s * time, n);
        seen |= (VI)v;
        if (check) bad = F(suspect)(v, bad);
    }
    f->bad = bad + worse;
    if (F(lanes)(F(nonzero)(seen | more) & waits))
        F(note_spikes)(f, x, time, steps, t, waits, cell, n);
}

INLINE void F(spike_cells_of)(F(sl_found) *f, const R *x, int64_t time, int64_t steps, int64_t t,
                              int64_t cell, int64_t cells, int check) {
    for (int64_t i = 0; i < steps; i += 8) {
        const int64_t now = sl_least(8, steps - i);
        const R *from = x + i * time;
        int64_t k = 0;
        for (; k + LANES <= cells; k += LANES)
            F(spike_cells)(f, from + k, time, now, t + i, cell + k, LANES, check);
        if (k < cells) F(spike_cells)(f, from + k, time, now, t + i, cell + k, cells - k, check);
    }
}

static void F(spike_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                          int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    F(spike_cells_of)(state, x, time, steps, t, cell, cells, 0);
}

static void F(spike_check_tile)(void *state, const R *x, int64_t time, R *z, int64_t to,
                                int64_t steps, int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    F(spike_cells_of)(state, x, time, steps, t, cell, cells, 1);
}

/* What is to be done with spike k of a cell, an entry x at step t */
typedef void (*F(sl_note))(F(sl_found) *f, int64_t cell, int64_t k, int64_t t, R x);

/* The first F spikes of LANES cells or fewer; those of one step are noted one by one. */
INLINE void F(list_cells)(F(sl_found) *f, const R *x, int64_t time, int64_t steps, int64_t t,
                          int64_t cell, int64_t n, F(sl_note) note) {
    int32_t *count = (int32_t *)f->room + cell;
    int64_t waits = F(lanes)(F(mask_of)((VI)(F(load_int)(count, n) < (I)f->spikes)));
    waits &= (1 << n) - 1;
    if (!waits && !f->check) return;
    V bad = f->bad;
    VI seen = {0};
    for (int64_t s = 0; s < steps; s++) {
        const V v = F(load_n)(x + s * time, n);
        seen |= (VI)v;
        bad = F(suspect)(v, bad);
    }
    f->bad = bad;
    if (!(F(lanes)(F(nonzero)(seen)) & waits)) return;
    for (int64_t s = 0, i; s < steps; s = i) {
        uint64_t hits = 0; /* of as many steps as it has room for */
        for (i = s; i < steps && (i - s) * LANES < 64; i++) {
            const V v = F(load_n)(x + i * time, n);
            hits |= (uint64_t)(F(lanes)(F(nonzero)((VI)v)) & waits) << (i - s) * LANES;
        }
        for (; hits; hits &= hits - 1) {
            const int64_t bit = __builtin_ctzll(hits), l = bit % LANES, at = s + bit / LANES;
            if (count[l] == f->spikes) continue;
            note(f, cell + l, count[l]++, t + at, x[at * time + l]);
            f->left -= count[l] == f->spikes;
        }
    }
}

INLINE void F(list_cells_of)(F(sl_found) *f, const R *x, int64_t time, int64_t steps, int64_t t,
                             int64_t cell, int64_t cells, F(sl_note) note) {
    for (int64_t i = 0; i < steps; i += 8) {
        const int64_t now = sl_least(8, steps - i);
        const R *from = x + i * time;
        int64_t k = 0;
        for (; k + LANES <= cells; k += LANES)
            F(list_cells)(f, from + k, time, now, t + i, cell + k, LANES, note);
        if (k < cells) F(list_cells)(f, from + k, time, now, t + i, cell + k, cells - k, note);
    }
}

INLINE void F(list)(F(sl_found) *f, int64_t cell, int64_t k, int64_t t, R x) {
    const int64_t i = k * f->stride + cell;
    f->entry[i] = x, f->step[i] = (int32_t)t;
}

static void F(list_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                         int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    F(list_cells_of)(state, x, time, steps, t, cell, cells, F(list));
}

/* Times of spikes that came, and of those that did not the last valid step. */
static void F(spikes_end)(const sl_block *b, F(sl_found) *f) {
    const sl_call *c = b->call;
    const int32_t *counts = f->room;
    for (int64_t j = 0, i = 0; j < b->many; j++) {
        const int64_t held = sl_held(c, b->first + j);
        for (int64_t k = 0; k < b->width; k++, i++) {
            const int64_t count = counts ? counts[i] : f->step[i] >= 0;
            for (int64_t s = 0; s < count; s++)
                f->when[s * f->stride + i] = (R)f->step[s * f->stride + i];
            if (count == f->spikes) continue;
            const R last = held ? F(sl_at)(&c->x, held - 1, b->first + j, b->neuron + k) : 0;
            for (int64_t s = count; s < f->spikes; s++) {
                const int64_t at = s * f->stride + i;
                f->when[at] = (R)INFINITY, f->entry[at] = last, f->step[at] = (int32_t)(held - 1);
            }
        }
    }
}

/* The first spikes of a block; without a check it ends once all have come. */
static void F(find_spikes)(const sl_block *b, F(sl_found) *f) {
    const int one = f->spikes == 1;
    const F(sl_visit) first = f->check ? F(spike_check_tile) : F(spike_tile);
    f->left = b->cells;
    for (int64_t i = 0; one && i < b->cells; i++) f->step[i] = -1, f->entry[i] = 0;
    F(find)(b, one ? first : F(list_tile), f, f->check ? 0 : &f->left, one ? 0 : b->cells * 4);
}

static void F(spikes_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    const sl_call *c = b.call;
    F(sl_found) f = {.when = (R *)c->out[0] + b.at, .entry = (R *)c->out[1] + b.at,
                     .step = (int32_t *)c->out[2] + b.at, .end = F(spikes_end),
                     .stride = c->samples * c->neurons, .spikes = (int64_t)c->option[0],
                     .check = c->option[1] != 0};
    F(find_spikes)(&b, &f);
}

static int64_t F(spikes)(const sl_call *c) {
    return sl_by_cells(c, F(spikes_block));
}

/* Times in place of the entries, of which nan is left. */
static void F(first_end)(const sl_block *b, F(sl_found) *f) {
    const R sign = (R)b->call->option[0], delay = (R)b->call->option[1];
    for (int64_t j = 0, i = 0; j < b->many; j++) {
        const int64_t held = sl_held(b->call, b->first + j);
        for (int64_t k = 0; k < b->width; k++, i++) {
            R entry = f->entry[i], late = 0;
            if (f->step[i] < 0) {
                if (held) entry = F(sl_at)(&b->call->x, held - 1, b->first + j, b->neuron + k);
                f->step[i] = (int32_t)(held - 1), late = delay;
            }
            const int32_t step = f->step[i] < 0 ? 0 : f->step[i];
            f->entry[i] = sign * ((R)step + late) + (entry - entry);
        }
    }
}

static void F(first_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    const sl_call *c = b.call;
    F(sl_found) f = {.entry = (R *)c->out[0] + b.at, .step = (int32_t *)c->out[1] + b.at,
                     .end = F(first_end), .spikes = 1, .check = c->option[2] != 0};
    F(find_spikes)(&b, &f);
}

static int64_t F(first)(const sl_call *c) {
    return sl_by_cells(c, F(first_block));
}

/* A soft count, or its derivative; what a spike adds by how many steps before the end it comes is in
 * the table of the walk, and stays as it is from the last entry on. */
typedef struct {
    F(sl_found) found; /* the first member, as it is what lists spikes */
    const sl_block *block;
    double *sum, latency; /* of cells */
    sl_array grad;
    const R *up;
} F(sl_soft);

/* What spike k of a cell adds; nan where its entry is nan or infinite. */
INLINE double F(soft_weight)(const F(sl_soft) *s, int64_t j, int64_t t, R x) {
    const int64_t left = sl_held(s->block->call, s->block->first + j) - t;
    const sl_walk *w = s->block->walk;
    return w->table[sl_least(left, w->entries - 1)] + (double)(x - x);
}

INLINE void F(soft_add)(F(sl_found) *f, int64_t cell, int64_t k, int64_t t, R x) {
    F(sl_soft) *s = (F(sl_soft) *)f;
    s->sum[cell] += F(soft_weight)(s, cell / s->block->width, t, x);
    if (!k) s->sum[cell] -= s->latency * (double)t;
}

static void F(soft_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                         int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    F(list_cells_of)(state, x, time, steps, t, cell, cells, F(soft_add));
}

static void F(soft_end)(const sl_block *b, F(sl_found) *f) {
    const F(sl_soft) *s = (const F(sl_soft) *)f;
    const int32_t *count = f->room;
    R *out = (R *)b->call->out[0] + b->at;
    for (int64_t i = 0; i < b->cells; i++) {
        const int64_t n = sl_more(sl_held(b->call, b->first + i / b->width), 1);
        out[i] = (R)(count[i] ? s->sum[i] : -s->latency * (double)n);
    }
}

/* Lists the spikes of a block. */
static void F(list_soft)(const sl_block *b, F(sl_soft) *s, F(sl_visit) visit) {
    s->block = b, s->latency = b->call->option[2];
    s->found.spikes = (int64_t)b->call->option[0], s->found.left = b->cells;
    F(find)(b, visit, &s->found, s->found.check ? 0 : &s->found.left, b->cells * 4);
}

static void F(soft_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    F(sl_soft) s = {.found = {.end = F(soft_end), .check = b.call->option[3] != 0}};
    s.sum = calloc((size_t)b.cells, sizeof(double));
    if (s.sum) F(list_soft)(&b, &s, F(soft_tile));
    else sl_report(b.walk, SL_MEMORY);
    free(s.sum);
}

/* By blocks, with the table of the counts or of their derivatives */
static int64_t F(by_soft)(const sl_call *c, sl_task block, int back) {
    const double tau = c->option[1], most = 708 * tau; /* then e^-x is next to nothing */
    sl_walk w = sl_walk_of(c, SL_CELLS, 0);
    w.entries = 1 + (most < (double)c->steps ? (int64_t)most + 1 : c->steps);
    w.table = malloc((size_t)w.entries * sizeof(double));
    if (!w.table) return SL_MEMORY;
    for (int64_t i = 0; i < w.entries; i++) {
        const double e = exp(-(double)i / tau);
        w.table[i] = back ? e / ((1 + e) * (1 + e) * tau) : 1 / (1 + e);
    }
    const int64_t status = sl_walked(&w, block);
    free(w.table);
    return status;
}

static int64_t F(soft)(const sl_call *c) {
    return F(by_soft)(c, F(soft_block), 0);
}

/* The maximum, and the first step at or above a threshold */
INLINE void F(cross_cells)(F(sl_found) *f, const R *x, int64_t time, int64_t steps, int64_t t,
                           int64_t cell, int64_t n) {
    F(max_cells)(f, x, time, steps, t, cell, n);
    const V threshold = F(all)(f->threshold);
    V bad = f->bad, most = F(all)(-(R)INFINITY);
    for (int64_t s = 0; s < steps; s++) {
        const V v = F(load_n)(x + s * time, n);
        most = F(larger)(v, most);
        bad = F(suspect)(v, bad);
    }
    f->bad = bad;
    VI crossed = F(load_int)(f->crossed + cell, n);
    M waits = F(mask_of)((VI)(crossed < 0));
    if (!F(lanes)(F(reaches)(most, threshold) & waits)) return;
    for (int64_t s = 0; s < steps; s++) {
        const M hit = F(reaches)(F(load_n)(x + s * time, n), threshold) & waits;
        crossed = F(blend_int)(hit, (VI){0} + (I)(t + s), crossed);
        waits &= ~hit;
    }
    F(store_int)(f->crossed + cell, crossed, n);
}

static void F(cross_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                          int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    int64_t k = 0;
    for (; k + LANES <= cells; k += LANES)
        F(cross_cells)(state, x + k, time, steps, t, cell + k, LANES);
    if (k < cells) F(cross_cells)(state, x + k, time, steps, t, cell + k, cells - k);
}

/* The two membranes of a crossing, and what lies between them */
typedef struct {
    R before, after, rise;
} F(sl_crossing);

INLINE F(sl_crossing) F(crossing)(const sl_call *c, int64_t step, int64_t b, int64_t k) {
    F(sl_crossing) m = {step ? F(sl_at)(&c->x, step - 1, b, k) : 0, F(sl_at)(&c->x, step, b, k), 1};
    if (m.after > m.before) m.rise = m.after - m.before;
    return m;
}

static void F(cross_end)(const sl_block *b, F(sl_found) *f) {
    for (int64_t j = 0, i = 0; j < b->many; j++)
        for (int64_t k = 0; k < b->width; k++, i++) {
            f->when[i] = (R)INFINITY;
            if (f->crossed[i] < 0) continue;
            F(sl_crossing) m = F(crossing)(b->call, f->crossed[i], b->first + j, b->neuron + k);
            f->when[i] = (R)f->crossed[i] - 1 + (f->threshold - m.before) / m.rise;
        }
}

static void F(cross_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    const sl_call *c = b.call;
    F(sl_found) f = F(none_found)(&b, 1, 3);
    f.when = (R *)c->out[0] + b.at, f.crossed = (int32_t *)c->out[2] + b.at, f.end = F(cross_end);
    f.threshold = (R)c->option[0], f.check = c->option[1] != 0;
    for (int64_t i = 0; i < b.cells; i++) f.crossed[i] = -1;
    F(find)(&b, F(cross_tile), &f, 0, 0);
}

static int64_t F(cross)(const sl_call *c) {
    return sl_by_cells(c, F(cross_block));
}

/* The maximum, and the sum of the steps from it on: begun anew by each higher one. Sums of a tile
 * are R, those of tiles double. */
INLINE void F(peak_cells)(F(sl_found) *f, const R *x, int64_t time, int64_t steps, int64_t t,
                          int64_t cell, int64_t n) {
    double *total = (double *)f->room + cell;
    const VI before = F(load_int)(f->step + cell, n), width = (VI){0} + (I)f->width;
    F(max_cells)(f, x, time, steps, t, cell, n);
    const VI step = F(load_int)(f->step + cell, n), first = (VI){0} + (I)t;
    const VI wants = (VI)(step != before) | (VI)(first - step < width);
    if (!F(lanes)(F(mask_of)(wants))) return;
    V sum = {0};
    for (int64_t s = 0; s < steps; s++) {
        const VI since = first + (I)s - step;
        const M within = F(mask_of)((VI)(since >= 0) & (VI)(since < width));
        sum = F(blend)(within, sum + F(load_n)(x + s * time, n), sum);
    }
    for (int64_t l = 0; l < n; l++)
        total[l] = (step[l] != before[l] ? 0 : total[l]) + (double)sum[l];
}

static void F(peak_tile)(void *state, const R *x, int64_t time, R *z, int64_t to, int64_t steps,
                         int64_t t, int64_t cell, int64_t cells) {
    (void)z, (void)to;
    for (int64_t s = 0; s < steps; s += SL_STEPS) {
        const int64_t now = sl_least(SL_STEPS, steps - s);
        const R *from = x + s * time;
        int64_t k = 0;
        for (; k + LANES <= cells; k += LANES)
            F(peak_cells)(state, from + k, time, now, t + s, cell + k, LANES);
        if (k < cells) F(peak_cells)(state, from + k, time, now, t + s, cell + k, cells - k);
    }
}

static void F(peak_end)(const sl_block *b, F(sl_found) *f) {
    const double *total = f->room;
    R *held = (R *)b->call->out[2] + b->at;
    for (int64_t i = 0; i < b->cells; i++) {
        const int64_t rest = sl_held(b->call, b->first + i / b->width) - f->step[i];
        f->entry[i] = (R)total[i];
        held[i] = f->step[i] < 0 ? 0 : (R)sl_least(rest, f->width);
    }
}

static void F(peak_block)(void *work, int64_t block) {
    const sl_block b = sl_block_of(work, block);
    F(sl_found) f = F(none_found)(&b, 0, 3);
    f.entry = (R *)b.call->out[1] + b.at, f.end = F(peak_end);
    f.width = (int64_t)sl_more(1, (int64_t)sl_least((int64_t)b.call->option[0], b.call->steps));
    F(find)(&b, F(peak_tile), &f, 0, b.cells * 8);
}

static int64_t F(peak)(const sl_call *c) {
    return sl_by_cells(c, F(peak_block));
}

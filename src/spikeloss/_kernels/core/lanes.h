/* Rows in lanes: short ones side by side, one in each lane, so that a sum over a row is a sum of
 * vectors; long ones by themselves, LANES of their entries at once. What is computed is written
 * once: a sum over a row is to be taken `across` the lanes in the end. Included once for float and
 * once for double, after tiles.h. */
#ifndef SL_LANES_ONCE
#define SL_LANES_ONCE
enum { SL_SHORT = 96, SL_PART = 64 }; /* entries of a row; vectors that are added up in one go */

/* For each vector k of a row, in parts */
#define SL_PARTS(w) for (int64_t from = 0; from < (w)->vectors; from += SL_PART)
#define SL_VECTORS(w) \
    for (int64_t k = from; k < sl_least((w)->vectors, from + SL_PART); k++)
#endif

/* Some rows of a tile, or one. */
typedef struct {
    F(sl_tile) tile;
    int wide; /* whether it is one row across the lanes, the last of them -infinity */
    int64_t vectors, many, most; /* of a row; rows, and most */
    int64_t step[16], sample[16];
    V *x, *y, *e, *g; /* vectors of the record, of the target, and two of the caller */
    V up;
    double *total; /* of the samples of the tile */
} F(sl_side);

/* What is done with them: adds to their totals, or leaves their gradients in g. */
typedef void (*F(sl_rows_done))(F(sl_side) *);

/* A sum of many numbers, and what it lost */
typedef struct {
    V sum, lost;
} F(sl_long);

INLINE void F(sl_lengthen)(F(sl_long) *s, V part) {
    const V sum = s->sum + part, of_part = sum - s->sum;
    const V lost = (s->sum - (sum - of_part)) + (part - of_part);
    s->lost += F(only)(F(size)(lost) < (R)INFINITY, lost);
    s->sum = sum;
}

/* Sums and maxima of rows */
INLINE V F(across)(const F(sl_side) *w, V v) { return w->wide ? F(all)(F(total)(v)) : v; }
INLINE V F(long_across)(const F(sl_side) *w, F(sl_long) s) {
    return F(across)(w, s.sum) + F(across)(w, s.lost);
}
INLINE V F(top_across)(const F(sl_side) *w, V v) { return w->wide ? F(all)(F(highest)(v)) : v; }
INLINE V F(top_of)(const F(sl_side) *w, const V *x) {
    V top = F(all)(-(R)INFINITY);
    for (int64_t k = 0; k < w->vectors; k++) top = F(larger)(x[k], top);
    return F(top_across)(w, top);
}

INLINE void F(side_in)(const F(sl_side) *w, V *to, const F(sl_rows) *from) {
    const int64_t n = w->tile.n;
    R *out = (R *)to;
    if (w->wide) to[w->vectors - 1] = F(all)(-(R)INFINITY);
    for (int64_t l = 0; l < w->most; l++) {
        const int64_t i = l < w->many ? l : 0; /* a lane that is idle does as the first */
        const R *row = from->data + w->step[i] * from->time + w->sample[i] * from->sample;
        if (w->wide) memcpy(out, row, (size_t)n * sizeof(R));
        else
            for (int64_t c = 0; c < n; c++) out[c * LANES + l] = row[c];
    }
}

INLINE void F(side_out)(const F(sl_side) *w) {
    const int64_t n = w->tile.n;
    const R *from = (const R *)w->g;
    for (int64_t l = 0; l < w->many; l++) {
        R *row = F(sl_grad)(&w->tile, w->step[l], w->sample[l]);
        if (w->wide) memcpy(row, from, (size_t)n * sizeof(R));
        else
            for (int64_t c = 0; c < n; c++) row[c] = from[c * LANES + l];
    }
}

INLINE void F(side_do)(F(sl_side) *w, F(sl_rows_done) done, int back) {
    R up[16] = {0};
    for (int64_t l = 0; back && l < w->many; l++)
        up[l] = F(sl_up)(&w->tile, w->tile.first + w->sample[l]);
    F(side_in)(w, w->x, &w->tile.x);
    F(side_in)(w, w->y, &w->tile.y);
    w->up = w->wide ? F(all)(up[0]) : F(load)(up);
    done(w);
    if (back) F(side_out)(w);
    w->many = 0;
}

/* The valid rows of a tile */
INLINE void F(side_tile)(F(sl_side) *w, F(sl_rows_done) done, int back) {
    const F(sl_tile) *s = &w->tile;
    for (int64_t i = 0; i < s->held; i++)
        for (int64_t j = 0; j < s->many; j++) {
            if (i >= F(sl_steps_of)(s, j)) continue;
            w->step[w->many] = i, w->sample[w->many++] = j;
            if (w->many == w->most) F(side_do)(w, done, back);
        }
    if (w->many) F(side_do)(w, done, back);
}

/* A block of samples, forth or back */
INLINE void F(side_block)(F(sl_rows_done) done, void *work, int64_t block, int wide, int back) {
    const sl_job *job = work;
    const int64_t n = job->call->neurons, vectors = wide ? (n + LANES - 1) / LANES : n;
    F(sl_side) w = {.wide = wide, .vectors = vectors, .most = wide ? 1 : LANES};
    const int64_t room = 4 * vectors * LANES, totals = 2 * job->cut.samples;
    if (!F(sl_open)(&w.tile, work, block, room + totals)) return;
    F(sl_tile) *s = &w.tile;
    w.x = (V *)(void *)s->more, w.y = w.x + vectors, w.e = w.y + vectors, w.g = w.e + vectors;
    w.total = (double *)(void *)(s->more + room);
    for (int64_t j = 0; j < s->many; j++) w.total[j] = 0;
    for (int64_t t = 0; t < s->call->steps; t += s->cut.steps) {
        F(sl_move)(s, t, 1);
        F(side_tile)(&w, done, back);
        if (back) F(sl_written)(s);
    }
    R *out = (R *)s->call->out[0] + s->first;
    for (int64_t j = 0; !back && j < s->many; j++) out[j] = (R)w.total[j];
    free(s->room);
}

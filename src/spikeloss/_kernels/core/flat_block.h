/* The blocks of what flat.h computes: which rows go together, and where they wait. Float and
 * AVX-512 alone. */

/* Takes many rows from x on, those of samples or of steps. */
INLINE flat_item *flat_next(flat_work *w, int64_t many, const float *x, int64_t place) {
    flat_item *item = w->items + w->waiting++;
    item->of = &item->own;
    item->x = x;
    item->many = many;
    item->place = place;
    return item;
}

INLINE void flat_go(flat_work *w, flat_item *item) {
    if (w->back && item->stride == w->n) flat_exps(w, item, item->grad);
    else flat_exps(w, item, 0);
    if (w->waiting == w->most) flat_end(w);
}

/* How many steps 16 samples go through together: those that at least half of them have, as a row
 * that is computed in vain costs less than one that is taken by itself. */
static void flat_together(flat_work *w, int64_t g) {
    const F(sl_tile) *s = &w->tile;
    flat_rows *of = w->of + g;
    const int64_t j = g * FLAT, many = sl_least(FLAT, s->many - j);
    of->together = s->x.sample == w->n && 4 * many > FLAT ? s->held : 0; /* few leave lanes idle */
    of->held = F(all_i)((int32_t)s->steps);
    if (s->least == s->steps) return;
    for (int64_t i = 0; i < FLAT; i++)
        of->held[i] = i < many ? (int32_t)F(sl_steps_of)(s, j + i) : 0;
    while (of->together > 0) {
        const VI last = F(all_i)((int32_t)of->together - 1);
        if (2 * __builtin_popcountll((uint64_t)F(lanes)(F(mask_of)(of->held > last))) >= many) return;
        of->together--;
    }
}

/* Rows of 16 samples at the steps of the tile that they go through together */
static void flat_samples(flat_work *w) {
    const F(sl_tile) *s = &w->tile;
    const F(labels) *l = &w->labels;
    for (int64_t i = 0; i < s->held; i++)
        for (int64_t g = 0; g < w->groups; g++) {
            const int64_t j = g * FLAT, many = sl_least(FLAT, s->many - j);
            if (i >= w->of[g].together) continue;
            flat_item *item = flat_next(w, many, F(sl_x)(s, i, j), g);
            const int64_t *label =
                l->data + (s->first + j) * l->sample + (s->t + i) * l->time;
            const __mmask16 valid = F(mask_of)(w->of[g].held > F(all_i)((int32_t)i));
            if (l->time) flat_prepare(&item->own, w->n, many, label, l->sample, l);
            else if (!(w->of[g].rows & ~valid)) item->of = w->of + g;
            else item->own = w->of[g];
            if (item->of == &item->own) {
                item->own.counts &= valid;
                item->own.wrong = F(blend)(valid, item->own.wrong, F(all)(0));
            }
            item->grad = w->back ? F(sl_grad)(s, i, j) : 0;
            item->stride = s->grad.sample, item->ahead = s->x.time;
            flat_go(w, item);
        }
}

/* Rows of one sample, at its other steps of the tile */
static void flat_steps(flat_work *w, int64_t j) {
    const F(sl_tile) *s = &w->tile;
    const F(labels) *l = &w->labels;
    const int64_t from = w->of[j / FLAT].together, n = w->n;
    const int64_t many = F(sl_steps_of)(s, j) - from;
    if (many <= 0) return;
    const float *x = F(sl_x)(s, from, j);
    flat_item *item = flat_next(w, many, x, ~j);
    const int64_t *label = l->data + (s->first + j) * l->sample + (s->t + from) * l->time;
    flat_prepare(&item->own, n, many, label, l->time, l);
    if (s->x.time != n) {
        for (int64_t i = 0; i < many; i++)
            SL_ALONG(n, { F(set)(item->copy + i * n + k, F(get)(x + i * s->x.time + k, l), l); });
        item->x = item->copy;
    }
    item->grad = w->back ? F(sl_grad)(s, from, j) : 0;
    item->stride = s->grad.time, item->ahead = FLAT * n;
    flat_go(w, item);
}

static void flat_tile(flat_work *w, int64_t t) {
    F(sl_tile) *s = &w->tile;
    F(sl_move)(s, t, 0);
    for (int64_t g = 0; g < w->groups; g++) flat_together(w, g);
    flat_samples(w);
    for (int64_t j = 0; j < s->many; j++) flat_steps(w, j);
    flat_end(w);
}

/* Shares out memory that starts at a multiple of 64 bytes, in such multiples. */
INLINE void *flat_part(uintptr_t *room, int64_t bytes) {
    const uintptr_t part = *room;
    *room += (uintptr_t)((bytes + 63) & ~(int64_t)63);
    return (void *)part;
}

static int64_t flat_share(flat_work *w, uintptr_t room) {
    uintptr_t end = room;
    const int64_t n = w->n, samples = w->tile.cut.samples, most = w->most;
    const int64_t groups = (samples + FLAT - 1) / FLAT, rows = FLAT * n * (int64_t)sizeof(float);
    w->of = flat_part(&end, groups * (int64_t)sizeof *w->of);
    w->sum = flat_part(&end, groups * (int64_t)sizeof *w->sum);
    w->odds = flat_part(&end, groups * (int64_t)sizeof *w->odds);
    w->total = flat_part(&end, samples * (int64_t)sizeof *w->total);
    w->row = flat_part(&end, n * (int64_t)sizeof *w->row);
    w->g = flat_part(&end, rows);
    w->items = flat_part(&end, most * (int64_t)sizeof *w->items);
    float *e = flat_part(&end, most * rows), *copy = flat_part(&end, most * rows);
    for (int64_t i = 0; room && i < most; i++) {
        w->items[i].e = memset(e + i * FLAT * n, 0, (size_t)rows);
        w->items[i].copy = copy + i * FLAT * n;
    }
    return (int64_t)(end - room);
}

/* Memory of a block, and what its samples have for constants. 0 where there is none. */
static int flat_open(flat_work *w, sl_job *job, int64_t block, int back) {
    const sl_call *c = job->call;
    const int64_t n = c->neurons;
    *w = (flat_work){.labels = F(labels_of)(c), .n = n, .back = back};
    w->most = FLAT_ENTRIES / (FLAT * n) > 4 ? FLAT_ENTRIES / (FLAT * n) : 4;
    w->tile.cut = job->cut;
    if (!F(sl_open)(&w->tile, job, block, flat_share(w, 0) / 4)) return 0;
    flat_share(w, (uintptr_t)w->tile.more);
    w->groups = (w->tile.many + FLAT - 1) / FLAT;
    for (int32_t i = 0, *row = (int32_t *)w->row; i < FLAT; i++)
        for (int64_t k = 0; k < n; k++) *row++ = i;
    const R *up = c->up[0];
    for (int64_t g = 0; g < w->groups; g++) {
        const int64_t first = w->tile.first + g * FLAT;
        const int64_t many = sl_least(FLAT, w->tile.many - g * FLAT);
        if (!w->labels.time)
            flat_prepare(w->of + g, n, many, w->labels.data + first * w->labels.sample,
                         w->labels.sample, &w->labels);
        w->odds[g] = (V){0};
        w->sum[g] = up && back ? F(load_n)(up + first, many) : (V){0};
    }
    for (int64_t j = 0; j < w->tile.many; j++) w->total[j] = 0;
    return 1;
}

/* Of each sample the valid steps whose label is not left out */
static void flat_count(const flat_work *w) {
    const F(sl_tile) *s = &w->tile;
    const F(labels) *l = &w->labels;
    int32_t *out = s->call->out[1];
    for (int64_t j = s->first; out && j < s->first + s->many; j++) {
        const int64_t held = sl_held(s->call, j);
        out[j] = (int32_t)held;
        for (int64_t t = 0; l->ignores && t < held; t++)
            out[j] -= l->data[j * l->sample + t * l->time] == l->ignored;
    }
}

static void flat_block(void *work, int64_t block) {
    flat_work w;
    if (!flat_open(&w, work, block, 0)) return;
    const F(sl_tile) *s = &w.tile;
    for (int64_t t = 0; t < s->call->steps; t += s->cut.steps) {
        flat_tile(&w, t);
        for (int64_t g = 0; g < w.groups; g++) {
            const V loss = w.sum[g] + F(log1p)(w.odds[g]);
            const int64_t many = sl_least(FLAT, s->many - g * FLAT);
            for (int64_t i = 0; i < many; i++) w.total[g * FLAT + i] += (double)loss[i];
            w.sum[g] = w.odds[g] = (V){0};
        }
    }
    for (int64_t j = 0; j < s->many; j++) ((R *)s->call->out[0])[s->first + j] = (R)w.total[j];
    flat_count(&w);
    free(s->room);
}

static void flat_back_block(void *work, int64_t block) {
    flat_work w;
    if (!flat_open(&w, work, block, 1)) return;
    for (int64_t t = 0; t < w.tile.call->steps; t += w.tile.cut.steps) {
        flat_tile(&w, t);
        F(sl_written)(&w.tile);
    }
    free(w.tile.room);
}

/* Whether that is for a call: rows are short, and not smoothed. */
INLINE int flat_for(const sl_call *c) {
    return c->neurons > 0 && c->neurons <= FLAT_WIDEST && c->option[0] == 0;
}

static int64_t flat_run(const sl_call *c, sl_task task) {
    const int64_t samples = sl_cut_of(c).samples;
    sl_cut cut = sl_cut_by(c, samples < FLAT ? FLAT : samples);
    return sl_by_cut(c, cut, task);
}

/* Replays calls of the core that `portable.py` recorded: `replay CALLS RESULTS`. Each runs with one
 * thread, then with three, which has to give the same bits; nothing is written beside an array. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spikeloss.h"

enum { READ = 6, ARRAYS = 11, EDGE = 64, UNTOUCHED = 77 }; /* x, y, lengths, up; then grad, out */

typedef struct {
    int64_t bytes, place, begin; /* -1: NULL; its address modulo EDGE; where the pointer points */
    char *given, *room, *first;
} array;

static void expect(int fine, const char *what, int64_t call) {
    if (fine) return;
    fprintf(stderr, "replay: call %lld: expected %s.\n", (long long)call, what);
    exit(1);
}

static char *memory(int64_t bytes) {
    char *room = malloc((size_t)bytes);
    expect(room != 0, "memory", 0);
    return room;
}

static void receive(array *a, FILE *calls, int64_t i) {
    expect(fread(a, sizeof(int64_t), 3, calls) == 3, "an array", i);
    if (a->bytes < 0) return;
    a->given = memory(a->bytes + 1);
    a->room = memory(a->bytes + 3 * EDGE);
    a->first = memory(a->bytes + 3 * EDGE);
    expect(fread(a->given, 1, (size_t)a->bytes, calls) == (size_t)a->bytes, "its entries", i);
}

static char *start(const array *a) {
    return (char *)(((uintptr_t)a->room + 2 * EDGE - 1) & ~(uintptr_t)(EDGE - 1)) + a->place;
}

static int64_t run(sl_call *c, void **to[], array *arrays, int64_t threads) {
    for (int k = 0; k < ARRAYS; k++) {
        array *a = arrays + k;
        *to[k] = NULL;
        if (a->bytes < 0) continue;
        memset(a->room, UNTOUCHED, (size_t)a->bytes + 3 * EDGE);
        memcpy(start(a), a->given, (size_t)a->bytes);
        *to[k] = start(a) + a->begin;
    }
    c->threads = threads;
    return sl_run(c);
}

static int untouched(const array *a) {
    for (const char *p = a->room; p < a->room + a->bytes + 3 * EDGE; p++)
        if ((p < start(a) || p >= start(a) + a->bytes) && *p != UNTOUCHED) return 0;
    return 1;
}

int main(int many, char **names) {
    expect(many == 3, "CALLS and RESULTS", 0);
    FILE *calls = fopen(names[1], "rb"), *results = fopen(names[2], "wb");
    expect(calls && results, "files", 0);
    sl_share_of(1); /* threads share out what is small, too */
    sl_call c;
    int64_t i = 0;
    for (; fread(&c, sizeof c, 1, calls) == 1; i++) {
        void **to[ARRAYS] = {&c.x.data, &c.y.data, (void **)&c.lengths};
        for (int k = 0; k < 3; k++) to[3 + k] = (void **)&c.up[k];
        to[READ] = &c.grad.data;
        for (int k = 0; k < 4; k++) to[READ + 1 + k] = &c.out[k];
        array arrays[ARRAYS] = {0};
        for (int k = 0; k < ARRAYS; k++) receive(arrays + k, calls, i);
        int64_t status = run(&c, to, arrays, 1);
        fwrite(&status, sizeof status, 1, results);
        for (int k = READ; k < ARRAYS; k++)
            if (arrays[k].bytes >= 0)
                memcpy(arrays[k].first, arrays[k].room, (size_t)arrays[k].bytes + 3 * EDGE);
        expect(run(&c, to, arrays, 3) == status, "the same status of three threads", i);
        for (int k = 0; k < ARRAYS; k++) {
            array *a = arrays + k;
            if (a->bytes < 0) continue;
            expect(untouched(a), "nothing to be written beside an array", i);
            if (k >= READ) {
                expect(!memcmp(a->first, a->room, (size_t)a->bytes + 3 * EDGE),
                       "the same bits of three threads", i);
                fwrite(start(a), 1, (size_t)a->bytes, results);
            }
            free(a->given), free(a->room), free(a->first);
        }
    }
    expect(fclose(results) == 0, "room for results", i);
    printf("%s, %lld calls\n", sl_variant(), (long long)i);
    return 0;
}

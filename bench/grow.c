/* grow: how fast are calloc and realloc as programs use them?
 *
 * vectors: LIVE arrays which double when they are full, to 512 KiB, growing in turn (so that none can simply be extended);
 * strings: a text grows by a few bytes at a time to about 200, then is dropped;
 * calloc: zeroed tables of 16 bytes to 16 KiB, LIVE of them; the first and last words are checked to be zero.
 * chains: one array at a time grows by half to some megabytes, as far as it can where it lies, shrinks to a quarter, grows again,
 * while small blocks come between.
 *
 * grow vectors|strings|calloc|chains [ROUNDS] */
#include "bench.h"
#include <string.h>

enum { LIVE = 64 };

static uint64_t vectors(size_t rounds) {
    uint64_t rng = 5, check = 0;
    for (size_t round = 0; round < rounds; round++) {
        uint64_t *items[LIVE] = {0};
        size_t most = 1 << between(&rng, 6, 16); /* items of 8 bytes */
        for (size_t room = 4; room <= most; room *= 2) {
            for (size_t v = 0; v < LIVE; v++) {
                items[v] = must(realloc(items[v], room * sizeof **items), "realloc");
                for (size_t i = room == 4 ? 0 : room / 2; i < room; i += 8) items[v][i] = i ^ v;
            }
        }
        for (size_t v = 0; v < LIVE; v++) {
            for (size_t i = 0; i < most; i += 512) check += items[v][i];
            free(items[v]);
        }
    }
    return check;
}

static uint64_t strings(size_t rounds) {
    uint64_t rng = 6, check = 0;
    char *texts[LIVE] = {0};
    size_t lengths[LIVE] = {0};
    for (size_t round = 0; round < rounds; round++) {
        size_t t = below(&rng, LIVE), more = between(&rng, 1, 24);
        texts[t] = must(realloc(texts[t], lengths[t] + more + 1), "realloc");
        memset(texts[t] + lengths[t], 'a' + (int)(round % 26), more);
        lengths[t] += more;
        texts[t][lengths[t]] = 0;
        if (lengths[t] > 200) {
            check += strlen(texts[t]) + (unsigned char)texts[t][0];
            free(texts[t]);
            texts[t] = NULL;
            lengths[t] = 0;
        }
    }
    for (size_t t = 0; t < LIVE; t++) free(texts[t]);
    return check;
}

static uint64_t zeroed(size_t rounds) {
    uint64_t rng = 7, check = 0;
    uint64_t *tables[LIVE * 16] = {0};
    for (size_t round = 0; round < rounds; round++) {
        size_t t = below(&rng, LIVE * 16);
        if (tables[t]) check += tables[t][0];
        free(tables[t]);
        size_t items = (size_t)2 << below(&rng, 11);
        items += below(&rng, items);
        tables[t] = must(calloc(items, 8), "calloc");
        check += tables[t][0] + tables[t][items - 1]; /* zero, or the check differs */
        tables[t][items - 1] = tables[t][items / 2] = tables[t][0] = round;
    }
    for (size_t t = 0; t < LIVE * 16; t++) free(tables[t]);
    return check;
}

static uint64_t chains(size_t rounds) {
    uint64_t rng = 11, check = 0;
    for (size_t round = 0; round < rounds; round++) {
        size_t most = (size_t)1 << between(&rng, 8, 19), room = 0; /* items of 8 bytes */
        uint64_t *items = NULL;
        unsigned char *between_them[LIVE] = {0};
        for (size_t link = 0; link < LIVE; link++) {
            size_t next = room > most ? room / 4 : room + room / 2 + 4;
            items = must(realloc(items, next * sizeof *items), "realloc");
            for (size_t i = (room + 7) / 8 * 8; i < next; i += 8) items[i] = i;
            for (size_t i = 0; i < next && i < room; i += 512) check += items[i];
            room = next;
            between_them[link] = stamped(small_size(&rng), (unsigned char)link);
        }
        for (size_t link = 0; link < LIVE; link++) check += release(between_them[link]);
        free(items);
    }
    return check;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        uint64_t (*run)(size_t);
        size_t rounds;
    } kinds[] = {{"vectors", vectors, 100}, {"strings", strings, 10000000}, {"calloc", zeroed, 1500000}, {"chains", chains, 300}};
    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(argv[1], kinds[i].name)) continue;
        size_t rounds = argument(argc, argv, 2, kinds[i].rounds);
        uint64_t start = now_ns(), check = kinds[i].run(rounds);
        report(now_ns() - start, rounds, check);
        return 0;
    }
    usage("grow vectors|strings|calloc|chains [ROUNDS]");
}

/* lifetimes: how fast is one thread that allocates heavily, when blocks die in this order?
 *
 * lifo: the newest first (a recursive computation: the depth wanders between 0 and LIVE);
 * fifo: the oldest first (a queue of LIVE blocks);
 * random: any (a cache of LIVE blocks);
 * pair: at once, always one size (the shortest path through an allocator).
 *
 * lifetimes lifo|fifo|random|pair [BLOCKS] [LIVE, or the size for pair] */
#include "bench.h"
#include <string.h>

static uint64_t lifo(size_t blocks, size_t live) {
    unsigned char **stack = must(malloc(live * sizeof *stack), "malloc");
    uint64_t rng = 1, check = 0;
    size_t depth = 0;
    for (size_t made = 0; made < blocks;) {
        size_t up = between(&rng, 1, 64), down = between(&rng, 1, 64);
        for (; up && depth < live; up--, made++) stack[depth++] = stamped(small_size(&rng), (unsigned char)made);
        for (; down && depth; down--) check += release(stack[--depth]);
    }
    while (depth) check += release(stack[--depth]);
    free(stack);
    return check;
}

static uint64_t fifo(size_t blocks, size_t live) {
    unsigned char **queue = must(calloc(live, sizeof *queue), "calloc");
    uint64_t rng = 2, check = 0;
    for (size_t made = 0, at = 0; made < blocks; made++, at = at + 1 == live ? 0 : at + 1) {
        if (queue[at]) check += release(queue[at]);
        queue[at] = stamped(small_size(&rng), (unsigned char)made);
    }
    for (size_t at = 0; at < live; at++) check += queue[at] ? release(queue[at]) : 0;
    free(queue);
    return check;
}

static uint64_t any(size_t blocks, size_t live) {
    unsigned char **cache = must(calloc(live, sizeof *cache), "calloc");
    uint64_t rng = 3, check = 0;
    for (size_t made = 0; made < blocks; made++) {
        size_t at = below(&rng, live);
        if (cache[at]) check += release(cache[at]);
        cache[at] = stamped(small_size(&rng), (unsigned char)made);
    }
    for (size_t at = 0; at < live; at++) check += cache[at] ? release(cache[at]) : 0;
    free(cache);
    return check;
}

static uint64_t pair(size_t blocks, size_t size) {
    uint64_t check = 0;
    for (size_t made = 0; made < blocks; made++) check += release(stamped(size, (unsigned char)made));
    return check;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        uint64_t (*run)(size_t, size_t);
        size_t blocks, live;
    } orders[] = {
        {"lifo", lifo, 10000000, 20000},
        {"fifo", fifo, 8000000, 20000},
        {"random", any, 6000000, 50000},
        {"pair", pair, 40000000, 64},
    };
    for (size_t i = 0; argc > 1 && i < sizeof orders / sizeof *orders; i++) {
        if (strcmp(argv[1], orders[i].name)) continue;
        size_t blocks = argument(argc, argv, 2, orders[i].blocks);
        uint64_t start = now_ns(), check = orders[i].run(blocks, argument(argc, argv, 3, orders[i].live));
        report(now_ns() - start, blocks, check);
        return 0;
    }
    usage("lifetimes lifo|fifo|random|pair [BLOCKS] [LIVE]");
}

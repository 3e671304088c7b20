/* sizes: how fast are random replacements of blocks between two sizes, every page of each block used?
 *
 * sizes LOW HIGH [BLOCKS] [LIVE]: medium blocks are `sizes 1024 32768`, large ones `sizes 131072 4194304`. */
#include "bench.h"

int main(int argc, char **argv) {
    size_t low = argument(argc, argv, 1, 1024), high = argument(argc, argv, 2, 32768);
    size_t blocks = argument(argc, argv, 3, 1000000), live = argument(argc, argv, 4, 2000);
    if (low == 0 || high < low || live == 0) usage("sizes LOW HIGH [BLOCKS] [LIVE]");

    unsigned char **cache = must(calloc(live, sizeof *cache), "calloc");
    uint64_t rng = 4, check = 0, start = now_ns();
    for (size_t made = 0; made < blocks; made++) {
        size_t at = below(&rng, live);
        if (cache[at]) check += release(cache[at]);
        cache[at] = stamped(between(&rng, low, high), (unsigned char)made);
    }
    for (size_t at = 0; at < live; at++) check += cache[at] ? release(cache[at]) : 0;
    report(now_ns() - start, blocks, check);
    free(cache);
}

/* pareto: how fast is a server whose small blocks are many and whose large ones are few?
 *
 * After alloc-test as its author describes it (ithare.com, 'Testing Memory Allocators', 2018): each thread has slots; a random
 * slot is freed if it is taken, else gets a block; sizes and slots follow Pareto's law, so some slots change often and most
 * seldom. Every block is written and read in full.
 *
 * pareto [THREADS] [OPERATIONS per thread] [SLOTS] */
#include "bench.h"
#include <pthread.h>
#include <string.h>

enum { MOST_THREADS = 32 };

static size_t operations, slots;

struct worker {
    uint64_t seed, check;
};

/* 1 half of the time, 2 a quarter of the time...: what is left of `most` after so many halvings, and a random point below. */
static size_t skewed(uint64_t *rng, size_t most) {
    uint64_t bits = splitmix64(rng);
    size_t ceiling = most >> (bits ? __builtin_ctzll(bits) : 63);
    return ceiling ? below(rng, ceiling) : 0;
}

static size_t pareto_size(uint64_t *rng) {
    uint64_t bits = splitmix64(rng) | (uint64_t)1 << 9; /* at most 2^9 times the least */
    size_t low = (size_t)16 << __builtin_ctzll(bits);
    return between(rng, low, 2 * low - 1);
}

static uint64_t sum_of(const unsigned char *block, size_t size) {
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i += 8) sum += block[i];
    return sum;
}

static void *serve(void *argument) {
    struct worker *worker = argument;
    uint64_t rng = worker->seed;
    unsigned char **blocks = must(calloc(slots, sizeof *blocks), "calloc");
    size_t *sizes = must(calloc(slots, sizeof *sizes), "calloc");
    for (size_t i = 0; i < operations + slots; i++) {
        size_t at = i < operations ? skewed(&rng, slots) : i - operations;
        if (blocks[at]) {
            worker->check += sum_of(blocks[at], sizes[at]);
            free(blocks[at]);
            blocks[at] = NULL;
        } else if (i < operations) {
            sizes[at] = pareto_size(&rng);
            blocks[at] = must(malloc(sizes[at]), "malloc");
            memset(blocks[at], (int)(i & 255), sizes[at]);
        }
    }
    free(blocks);
    free(sizes);
    return NULL;
}

int main(int argc, char **argv) {
    size_t threads = argument(argc, argv, 1, 1);
    operations = argument(argc, argv, 2, 8000000);
    slots = argument(argc, argv, 3, 1 << 18);
    if (threads == 0 || threads > MOST_THREADS || slots < 2) usage("pareto [THREADS, 1 to 32] [OPERATIONS] [SLOTS]");
    pthread_t ids[MOST_THREADS];
    struct worker workers[MOST_THREADS];
    uint64_t start = now_ns(), check = 0;
    for (size_t t = 0; t < threads; t++) {
        workers[t] = (struct worker){.seed = t};
        if (pthread_create(&ids[t], NULL, serve, &workers[t])) die("pthread_create");
    }
    for (size_t t = 0; t < threads; t++) pthread_join(ids[t], NULL);
    uint64_t ns = now_ns() - start;
    for (size_t t = 0; t < threads; t++) check += workers[t].check;
    report(ns, threads * operations, check);
}

/* exchange: what if some threads only allocate and others only free?
 *
 * After xmalloc-test as Lever and Boreham describe it ('malloc() Performance in a Multithreaded Linux Environment', USENIX
 * 2000): batches of small blocks go over one list that all threads share, so any freeing thread gets any maker's blocks.
 *
 * exchange [MAKERS, and as many that free] [BLOCKS per maker] */
#include "bench.h"
#include <pthread.h>

enum { BATCH = 120, MOST_WAITING = 64, MOST_THREADS = 32 };

struct batch {
    struct batch *next;
    unsigned char *blocks[BATCH];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct batch *waiting;
static size_t count_waiting, makers_left, blocks_of_each;

static void *make(void *seed) {
    uint64_t rng = (uint64_t)(uintptr_t)seed;
    for (size_t made = 0; made < blocks_of_each; made += BATCH) {
        struct batch *batch = must(malloc(sizeof *batch), "malloc");
        for (size_t i = 0; i < BATCH; i++) batch->blocks[i] = stamped(between(&rng, 16, 128), (unsigned char)i);
        pthread_mutex_lock(&mutex);
        while (count_waiting == MOST_WAITING) pthread_cond_wait(&changed, &mutex);
        batch->next = waiting;
        waiting = batch;
        count_waiting++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    makers_left--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static struct batch *taken(void) {
    pthread_mutex_lock(&mutex);
    while (!waiting && makers_left) pthread_cond_wait(&changed, &mutex);
    struct batch *batch = waiting;
    if (batch) {
        waiting = batch->next;
        count_waiting--;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    return batch;
}

static void *unmake(void *sum) {
    struct batch *batch;
    while ((batch = taken())) {
        for (size_t i = 0; i < BATCH; i++) *(uint64_t *)sum += release(batch->blocks[i]);
        free(batch);
    }
    return NULL;
}

int main(int argc, char **argv) {
    size_t threads = argument(argc, argv, 1, 1);
    blocks_of_each = argument(argc, argv, 2, 6000000) / BATCH * BATCH;
    if (threads == 0 || threads > MOST_THREADS) usage("exchange [MAKERS, 1 to 32] [BLOCKS]");
    pthread_t ids[2 * MOST_THREADS];
    uint64_t sums[MOST_THREADS] = {0}, start = now_ns(), check = 0;
    makers_left = threads;
    for (size_t t = 0; t < threads; t++) {
        if (pthread_create(&ids[2 * t], NULL, make, (void *)(uintptr_t)(t + 1))) die("pthread_create");
        if (pthread_create(&ids[2 * t + 1], NULL, unmake, &sums[t])) die("pthread_create");
    }
    for (size_t t = 0; t < 2 * threads; t++) pthread_join(ids[t], NULL);
    uint64_t ns = now_ns() - start;
    for (size_t t = 0; t < threads; t++) check += sums[t];
    report(ns, threads * blocks_of_each, check);
}

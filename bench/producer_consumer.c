/* producer_consumer: what does it cost when every block is freed by a thread that did not make it?
 *
 * Pairs of threads, a ring between the two of each pair. The producer makes blocks and publishes them in batches (so that
 * the ring is not what is measured); the consumer reads and frees them.
 *
 * producer_consumer [PAIRS] [BLOCKS per pair] */
#include "bench.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { RING = 4096, BATCH = 64, MOST_PAIRS = 32 };

struct pair {
    unsigned char *ring[RING];
    _Alignas(64) atomic_size_t produced; /* written by the producer only */
    _Alignas(64) atomic_size_t consumed; /* written by the consumer only */
    _Alignas(64) size_t blocks;
    uint64_t rng, check;
};

static void *produce(void *argument) {
    struct pair *p = argument;
    for (size_t done = 0; done < p->blocks; done += BATCH) {
        /* acquire pairs with the consumer's release: the slots it gave back are read before we overwrite them. */
        while (done + BATCH - atomic_load_explicit(&p->consumed, memory_order_acquire) > RING) sched_yield();
        for (size_t i = done; i < done + BATCH; i++) p->ring[i % RING] = stamped(small_size(&p->rng), (unsigned char)i);
        atomic_store_explicit(&p->produced, done + BATCH, memory_order_release);
    }
    return NULL;
}

static void *consume(void *argument) {
    struct pair *p = argument;
    for (size_t done = 0; done < p->blocks; done += BATCH) {
        /* acquire pairs with the producer's release: pointers and contents of the batch are visible. */
        while (atomic_load_explicit(&p->produced, memory_order_acquire) < done + BATCH) sched_yield();
        for (size_t i = done; i < done + BATCH; i++) p->check += release(p->ring[i % RING]);
        atomic_store_explicit(&p->consumed, done + BATCH, memory_order_release);
    }
    return NULL;
}

int main(int argc, char **argv) {
    static struct pair pairs[MOST_PAIRS];
    size_t count = argument(argc, argv, 1, 1);
    size_t blocks = argument(argc, argv, 2, 4000000) / BATCH * BATCH;
    if (count == 0 || count > MOST_PAIRS) usage("producer_consumer [PAIRS, 1 to 32] [BLOCKS]");

    pthread_t ids[2 * MOST_PAIRS];
    uint64_t start = now_ns();
    for (size_t i = 0; i < count; i++) {
        pairs[i].blocks = blocks;
        pairs[i].rng = i;
        if (pthread_create(&ids[2 * i], NULL, produce, &pairs[i])) die("pthread_create");
        if (pthread_create(&ids[2 * i + 1], NULL, consume, &pairs[i])) die("pthread_create");
    }
    for (size_t i = 0; i < 2 * count; i++) pthread_join(ids[i], NULL);
    uint64_t ns = now_ns() - start, check = 0;
    for (size_t i = 0; i < count; i++) check += pairs[i].check;
    report(ns, count * blocks, check);
}

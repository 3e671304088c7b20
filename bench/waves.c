/* waves: what if blocks come in waves of one size, and go partly newest first, partly oldest first?
 *
 * After MicroQuill's sh6bench and sh8bench as the mimalloc paper describes them (Leijen, Zorn and de Moura, 2019). sh6: each
 * wave is of one size, half of it is freed newest first, a quarter oldest first, the rest with the next wave. sh8: sizes
 * are mixed, threads work side by side, and what a thread kept of its wave is freed by the next thread.
 *
 * waves sh6|sh8 [THREADS] [WAVES per thread] */
#include "bench.h"
#include <pthread.h>
#include <string.h>

enum { WAVE = 1000, KEPT = WAVE / 4, MOST_THREADS = 32 };

static size_t threads, waves;
static int mixed;

struct worker {
    pthread_mutex_t mutex;
    unsigned char *kept[KEPT]; /* of this worker's last wave; sh8: its neighbour takes them */
    uint64_t rng, check;
};

static struct worker workers[MOST_THREADS];

/* Hands `kept` over and frees what was there before. */
static void hand_over(struct worker *self, struct worker *to, unsigned char **kept) {
    unsigned char *before[KEPT];
    pthread_mutex_lock(&to->mutex);
    memcpy(before, to->kept, sizeof before);
    memcpy(to->kept, kept, sizeof before);
    pthread_mutex_unlock(&to->mutex);
    for (size_t i = 0; i < KEPT; i++)
        if (before[i]) self->check += release(before[i]);
}

static void *work(void *argument) {
    struct worker *self = argument;
    struct worker *to = mixed ? &workers[((size_t)(self - workers) + 1) % threads] : self;
    unsigned char *blocks[WAVE];
    for (size_t wave = 0; wave < waves; wave++) {
        size_t size = 1 + wave * 7 % 1000;
        for (size_t i = 0; i < WAVE; i++) blocks[i] = stamped(mixed ? small_size(&self->rng) : size, (unsigned char)i);
        for (size_t i = WAVE; i > WAVE / 2; i--) self->check += release(blocks[i - 1]);
        for (size_t i = 0; i < WAVE / 4; i++) self->check += release(blocks[i]);
        hand_over(self, to, blocks + WAVE / 4);
    }
    return NULL;
}

int main(int argc, char **argv) {
    mixed = argc > 1 && !strcmp(argv[1], "sh8");
    threads = argument(argc, argv, 2, 1);
    waves = argument(argc, argv, 3, 10000);
    if (argc < 2 || (!mixed && strcmp(argv[1], "sh6")) || threads == 0 || threads > MOST_THREADS)
        usage("waves sh6|sh8 [THREADS, 1 to 32] [WAVES]");
    pthread_t ids[MOST_THREADS];
    uint64_t start = now_ns(), check = 0;
    for (size_t t = 0; t < threads; t++) workers[t] = (struct worker){.mutex = PTHREAD_MUTEX_INITIALIZER, .rng = t};
    for (size_t t = 0; t < threads; t++)
        if (pthread_create(&ids[t], NULL, work, &workers[t])) die("pthread_create");
    for (size_t t = 0; t < threads; t++) pthread_join(ids[t], NULL);
    for (size_t t = 0; t < threads; t++) {
        for (size_t i = 0; i < KEPT; i++) check += workers[t].kept[i] ? release(workers[t].kept[i]) : 0;
        check += workers[t].check;
    }
    report(now_ns() - start, threads * waves * WAVE, check);
}

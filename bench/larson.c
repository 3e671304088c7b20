/* larson: how fast is a server whose threads come and go while their blocks stay?
 *
 * After Larson and Krishnan, 'Memory allocation for long-running server applications' (ISMM 1998). Each thread replaces
 * random blocks of an array that an earlier thread filled, then ends; the next generation takes the arrays over, each
 * thread another's. So most frees are of blocks made by a thread that no longer lives.
 *
 * larson [THREADS] [GENERATIONS] [REPLACEMENTS per thread] */
#include "bench.h"
#include <pthread.h>

enum { SLOTS = 5000, MOST_THREADS = 64 };

struct connection {
    unsigned char *blocks[SLOTS];
    uint64_t rng, check;
    size_t replacements;
};

static void *serve(void *argument) {
    struct connection *c = argument;
    for (size_t i = 0; i < c->replacements; i++) {
        size_t slot = below(&c->rng, SLOTS);
        if (c->blocks[slot]) c->check += release(c->blocks[slot]);
        c->blocks[slot] = stamped(between(&c->rng, 8, 1000), (unsigned char)i);
    }
    return NULL;
}

int main(int argc, char **argv) {
    static struct connection connections[MOST_THREADS];
    size_t threads = argument(argc, argv, 1, 2);
    size_t generations = argument(argc, argv, 2, 50);
    size_t replacements = argument(argc, argv, 3, 40000);
    if (threads == 0 || threads > MOST_THREADS) usage("larson [THREADS, 1 to 64] [GENERATIONS] [REPLACEMENTS]");

    for (size_t t = 0; t < threads; t++) connections[t] = (struct connection){.rng = t, .replacements = replacements};
    uint64_t start = now_ns();
    for (size_t g = 0; g < generations; g++) {
        pthread_t ids[MOST_THREADS];
        for (size_t t = 0; t < threads; t++) {
            struct connection *inherited = &connections[(t + g) % threads];
            if (pthread_create(&ids[t], NULL, serve, inherited)) die("pthread_create");
        }
        for (size_t t = 0; t < threads; t++) pthread_join(ids[t], NULL);
    }
    uint64_t ns = now_ns() - start, check = 0;
    for (size_t t = 0; t < threads; t++) check += connections[t].check;
    report(ns, threads * generations * replacements, check);
}

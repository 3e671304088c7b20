/* Question: when several threads together hold more than the arena, does every byte stay right,
 * for its owner and for the threads that read and overwrite it while pages move?
 *
 * usage: owners [threads] [bytes in total] [rounds]
 */
#include "common.h"

enum { MAX_THREADS = 64, MAX_BLOCKS = 4096 };

struct block {
    void *bytes;
    size_t size;
};

static struct block blocks[MAX_THREADS][MAX_BLOCKS];
static size_t block_count[MAX_THREADS];
static uint64_t sums[MAX_THREADS];
static size_t threads, share, rounds;
static pthread_barrier_t barrier;

static uint64_t key_of(size_t owner, size_t index, size_t round)
{
    return mix(owner * 1000003 + index) + round;
}

static void allocate(size_t me)
{
    uint64_t random = me + 1;
    size_t left = share;
    while (left > 0 && block_count[me] < MAX_BLOCKS) {
        size_t size = between(&random, 16, next_random(&random) % 8 ? 8 * KIB : 96 * KIB);
        if (size > left || block_count[me] == MAX_BLOCKS - 1)
            size = left;
        blocks[me][block_count[me]++] = (struct block){must_malloc(size), size};
        left -= size;
    }
}

static void write_all(size_t owner, size_t round)
{
    for (size_t i = 0; i < block_count[owner]; i++)
        fill(blocks[owner][i].bytes, blocks[owner][i].size, key_of(owner, i, round));
}

static uint64_t read_all(size_t owner, size_t round, const char *who)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < block_count[owner]; i++)
        sum += verify(blocks[owner][i].bytes, blocks[owner][i].size, key_of(owner, i, round), who);
    return sum;
}

static void *run(void *parameter)
{
    size_t me = (size_t)parameter, next = (me + 1) % threads;
    allocate(me);
    write_all(me, 0);
    for (size_t round = 0; round < rounds; round++) {
        pthread_barrier_wait(&barrier);
        sums[me] += read_all(me, round, "the owner");
        sums[me] += 3 * read_all(next, round, "another thread");
        pthread_barrier_wait(&barrier);
        write_all(next, round + 1);
    }
    pthread_barrier_wait(&barrier);
    sums[me] += 5 * read_all(me, rounds, "the owner, after others wrote");
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < block_count[me]; i += 2)
        free(blocks[me][i].bytes);
    for (size_t i = 1; i < block_count[next]; i += 2)
        free(blocks[next][i].bytes);
    return NULL;
}

int main(int argc, char **argv)
{
    threads = argument(argc, argv, 1, 4);
    share = argument(argc, argv, 2, 16 * MIB) / threads;
    rounds = argument(argc, argv, 3, 2);
    CHECK(threads >= 1 && threads <= MAX_THREADS, "1 to %d threads", MAX_THREADS);
    pthread_barrier_init(&barrier, NULL, threads);
    pthread_t handles[MAX_THREADS];
    for (size_t i = 0; i < threads; i++)
        handles[i] = start(run, (void *)i);
    uint64_t sum = 0;
    for (size_t i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
        sum = mix(sum ^ sums[i]);
    }
    printf("owners %zu threads, %zu bytes each: %016llx\n", threads, share, (unsigned long long)sum);
    return 0;
}

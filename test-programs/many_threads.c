/* Question: do regions come and go with 10,000 threads one after the other, some leaving blocks
 * behind that are freed later, and do 500 threads at once each get their own memory?
 *
 * usage: many_threads [one after the other] [at once] [bytes of each at once]
 */
#include "common.h"

enum { LEFT = 256, AT_ONCE = 1024, BLOCKS = 8 };

struct left {
    void *bytes;
    size_t size;
    uint64_t key;
};

static struct left left[LEFT];
static void *blocks[AT_ONCE][BLOCKS];
static uint64_t sums[AT_ONCE];
static size_t at_once, block_size;
static pthread_barrier_t barrier;

/* Allocates a little, verifies and frees it; every seventh leaves a block behind. */
static void *short_life(void *parameter)
{
    size_t number = (size_t)parameter;
    uint64_t random = number;
    void *mine[BLOCKS];
    size_t sizes[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = between(&random, 1, i == 0 ? 3 * PAGE : 200);
        mine[i] = must_malloc(sizes[i]);
        fill(mine[i], sizes[i], number + i);
    }
    uint64_t sum = 0;
    for (int i = 0; i < BLOCKS; i++)
        sum += verify(mine[i], sizes[i], number + i, "a short life");
    int keep = number % 7 == 0;
    struct left *slot = &left[number / 7 % LEFT];
    if (keep) {
        if (slot->bytes != NULL) {   /* left by a thread that ended long ago */
            sum += verify(slot->bytes, slot->size, slot->key, "left behind");
            free(slot->bytes);
        }
        *slot = (struct left){mine[1], sizes[1], number + 1};
    }
    for (int i = 0; i < BLOCKS; i++)
        if (!(keep && i == 1))
            free(mine[i]);
    return (void *)(uintptr_t)sum;
}

static void *with_others(void *parameter)
{
    size_t me = (size_t)parameter, next = (me + 1) % at_once;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[me][i] = must_malloc(block_size);
        fill(blocks[me][i], block_size, me * BLOCKS + i);
    }
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < BLOCKS; i++) {
        sums[me] += verify(blocks[next][i], block_size, next * BLOCKS + i, "the neighbour's");
        free(blocks[next][i]);
    }
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(int argc, char **argv)
{
    size_t sequential = argument(argc, argv, 1, 10000);
    at_once = argument(argc, argv, 2, 500);
    block_size = argument(argc, argv, 3, 24 * KIB) / BLOCKS;
    CHECK(at_once <= AT_ONCE, "at most %d at once", AT_ONCE);
    uint64_t sum = 0;
    for (size_t i = 1; i <= sequential; i++) {
        void *part;
        pthread_join(start(short_life, (void *)i), &part);
        sum = mix(sum ^ (uintptr_t)part);
    }
    for (size_t i = 0; i < LEFT; i++)
        if (left[i].bytes != NULL) {
            sum += verify(left[i].bytes, left[i].size, left[i].key, "left behind at the end");
            free(left[i].bytes);
        }
    printf("%zu threads one after the other: %016llx\n", sequential, (unsigned long long)sum);
    if (at_once == 0)
        return 0;
    pthread_barrier_init(&barrier, NULL, at_once);
    static pthread_t handles[AT_ONCE];
    for (size_t i = 0; i < at_once; i++)
        handles[i] = start(with_others, (void *)i);
    for (size_t i = 0; i < at_once; i++) {
        pthread_join(handles[i], NULL);
        sum += sums[i];
    }
    printf("%zu threads at once: %016llx\n", at_once, (unsigned long long)sum);
    return 0;
}

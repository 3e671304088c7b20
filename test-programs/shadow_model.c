/* Question: does any sequence of malloc, calloc, realloc, memalign and free, by several threads that
 * hand blocks to each other, ever lose or change a byte?
 *
 * The shadow model (address, size, key of each block) lies outside the heap. Every block is filled
 * from its key when it is made and verified before it is resized or freed. What each operation
 * creates depends on the seed alone, not on the schedule, so the sum over all contents at their end
 * is the same in every run with a number of operations. With seconds only "ok" is printed.
 *
 * usage: shadow_model [threads] [operations each, or seconds as 5s] [seed] [bytes in use, about]
 */
#include "common.h"

#include <stdatomic.h>
#include <time.h>

enum { MAX_THREADS = 16, SMALL = 4096, MEDIUM = 32, LARGE = 4, SLOTS = SMALL + MEDIUM + LARGE };

struct slot {
    unsigned char *bytes;
    size_t size;
    uint64_t key;
};

/* Three kinds of blocks, each with its slots per thread and its largest size. */
struct kind {
    size_t first, count, smallest, largest;
};

static struct slot slots[MAX_THREADS][SLOTS];
static struct slot exchange[3][MAX_THREADS];
static pthread_mutex_t exchange_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct kind kinds[3];
static size_t threads, operations, seconds, seed;
static uint64_t sums[MAX_THREADS];
static atomic_int stop;

static size_t pick_size(const struct kind *kind, uint64_t *random)
{
    size_t largest = kind->largest;
    if (kind == &kinds[0] && next_random(random) % 3)
        largest = 64;
    return between(random, kind->smallest, largest);
}

/* Each way to make a block, with what it promises. */
static struct slot make(size_t size, uint64_t *random)
{
    struct slot slot = {NULL, size, next_random(random)};
    uint64_t choice = next_random(random) % 16;
    size_t alignment = (size_t)16 << (next_random(random) % (choice == 15 ? 13 : 5));
    void *block = NULL;
    if (choice < 8) {
        alignment = 16;
        block = malloc(size);
    } else if (choice < 12) {
        alignment = 16;
        block = calloc(size, 1);
        if (block != NULL)
            verify_zero(block, size, "calloc");
    } else if (choice == 12) {
        block = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    } else if (choice == 13) {
        CHECK(posix_memalign(&block, alignment, size) == 0, "posix_memalign(%zu, %zu)", alignment, size);
    } else {
        block = memalign(alignment, size);
    }
    CHECK(block != NULL, "no memory for %zu bytes, choice %d", size, (int)choice);
    CHECK((uintptr_t)block % alignment == 0, "%p is not aligned to %zu", block, alignment);
    CHECK(malloc_usable_size(block) >= size, "usable size of %p below %zu", block, size);
    fill(block, size, slot.key);
    slot.bytes = block;
    return slot;
}

static uint64_t check(const struct slot *slot, const char *what)
{
    return verify(slot->bytes, slot->size, slot->key, what);
}

static uint64_t resize(struct slot *slot, size_t size, uint64_t *random)
{
    uint64_t sum = check(slot, "before realloc");
    unsigned char *moved = realloc(slot->bytes, size);
    CHECK(moved != NULL, "realloc(%p, %zu) from %zu", (void *)slot->bytes, size, slot->size);
    /* The last word may be cut: pattern words are whole up to the smaller size rounded down. */
    size_t kept = (size < slot->size ? size : slot->size) / 8 * 8;
    verify(moved, kept, slot->key, "after realloc");
    *slot = (struct slot){moved, size, next_random(random)};
    fill(moved, size, slot->key);
    return sum;
}

static uint64_t release(struct slot *slot)
{
    uint64_t sum = check(slot, "before free");
    errno = 4242;
    free(slot->bytes);
    CHECK(errno == 4242, "free changed errno");
    slot->bytes = NULL;
    return sum;
}

/* Swaps a full slot with a full one that any thread put there. */
static void hand_over(struct slot *slot, size_t kind, size_t place)
{
    pthread_mutex_lock(&exchange_mutex);
    struct slot other = exchange[kind][place];
    exchange[kind][place] = *slot;
    *slot = other;
    pthread_mutex_unlock(&exchange_mutex);
}

static void *run(void *parameter)
{
    size_t me = (size_t)parameter;
    uint64_t random = mix(seed * 131 + me), sum = 0;
    for (size_t done = 0; seconds ? !atomic_load(&stop) : done < operations; done++) {
        uint64_t dice = next_random(&random) % 1000;
        size_t which = dice < 800 ? 0 : dice < 980 ? 1 : 2;
        const struct kind *kind = &kinds[which];
        struct slot *slot = &slots[me][kind->first + next_random(&random) % kind->count];
        uint64_t action = next_random(&random) % 8;
        if (slot->bytes == NULL)
            *slot = make(pick_size(kind, &random), &random);
        else if (action < 3)
            sum += release(slot);
        else if (action < 5)
            sum += resize(slot, pick_size(kind, &random) + 1, &random);   /* realloc(p, 0) would free */
        else if (action < 7)
            hand_over(slot, which, next_random(&random) % threads);
        else
            check(slot, "in passing");
    }
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[me][i].bytes != NULL)
            sum += release(&slots[me][i]);
    sums[me] = sum;
    return NULL;
}

int main(int argc, char **argv)
{
    threads = argument(argc, argv, 1, 2);
    operations = argument(argc, argv, 2, 40000);
    if (argc > 2 && argv[2][strlen(argv[2]) - 1] == 's')
        seconds = operations;
    seed = argument(argc, argv, 3, 1);
    size_t share = argument(argc, argv, 4, 18 * MIB) / threads;
    CHECK(threads >= 1 && threads <= MAX_THREADS, "1 to %d threads", MAX_THREADS);
    size_t small = share / 4 / 512 < SMALL ? share / 4 / 512 + 1 : SMALL;
    kinds[0] = (struct kind){0, small, 0, 512};
    kinds[1] = (struct kind){SMALL, MEDIUM, 512, share / 128 + 512};
    kinds[2] = (struct kind){SMALL + MEDIUM, LARGE, share / 16 + 1, share / 8 + 1};
    uint64_t random = mix(seed), sum = 0;
    for (size_t kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < threads; i++)
            exchange[kind][i] = make(pick_size(&kinds[kind], &random), &random);
    pthread_t handles[MAX_THREADS];
    for (size_t i = 0; i < threads; i++)
        handles[i] = start(run, (void *)i);
    if (seconds) {
        nanosleep(&(struct timespec){.tv_sec = (time_t)seconds}, NULL);
        atomic_store(&stop, 1);
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
        sum += sums[i];
    }
    for (size_t kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < threads; i++)
            sum += release(&exchange[kind][i]);
    if (seconds)
        printf("shadow_model ok\n");
    else
        printf("shadow_model %zu threads, seed %zu: %016llx\n", threads, seed, (unsigned long long)sum);
    return 0;
}

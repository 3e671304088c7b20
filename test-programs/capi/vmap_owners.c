/* Do the maps of several owners keep apart, and keep every byte, while more is allocated than there is memory?
 *
 *     vmap_owners [OWNERS THREADS STEPS]
 *
 * First every function is called wrongly: by a stranger, with wrong pointers, ranges, sizes, maps. Then OWNERS
 * x THREADS threads allocate, copy and free at random, against a model of what each block holds. */
#include "../common.h"
#include <sys/wait.h>
#include <vmap.h>

enum { MEMORY = 64 * PAGE, SWAP = 2048 * PAGE, BLOCKS = 40 };

#define FAILS(call, error)                                                                                            \
    do {                                                                                                              \
        long result = (long)(call);                                                                                   \
        CHECK(vmap_error() == (error), "%s gives %d (%s)", #call, vmap_error(), vmap_strerror(vmap_error()));         \
        CHECK(result == 0 || result == (error), "%s returns %ld", #call, result);                                     \
    } while (0)
#define FREE_FAILS(map, block, error) FAILS((vmap_free(map, block), 0L), error)

static void errors(void)
{
    char data[100] = "some bytes", found[100];
    vmap_select_owner(7);
    struct VMap *map = vmap_create();
    CHECK(map && vmap_error() == VMAP_OK, "no map");
    char *block = vmap_malloc(map, 100), *other = vmap_malloc(map, 5000);
    CHECK(block && other, "no block");
    CHECK(vmap_copy_to_memory(map, block, data, 100) == 0, "copy");

    /* A stranger: another owner with the right pointers, and with a map of its own. */
    CHECK(vmap_select_owner(8) == 7, "the owner before");
    struct VMap *strangers = vmap_create();
    memset(found, 1, sizeof found);
    FAILS(vmap_malloc(map, 10), VMAP_EOWNER);
    FREE_FAILS(map, block, VMAP_EOWNER);
    FAILS(vmap_copy_to_memory(map, block, found, 100), VMAP_EOWNER);
    FAILS(vmap_copy_from_memory(map, found, block, 100), VMAP_EOWNER);
    FAILS(vmap_destroy(map), VMAP_EOWNER);
    FREE_FAILS(strangers, block, VMAP_EPOINTER);
    FAILS(vmap_copy_to_memory(strangers, block, found, 100), VMAP_EPOINTER);
    FAILS(vmap_copy_from_memory(strangers, found, block, 100), VMAP_EPOINTER);
    CHECK(found[0] == 1 && found[99] == 1, "a stranger has read something");
    CHECK(vmap_destroy(strangers) == 0, "destroy");
    vmap_select_owner(7);

    /* Sizes, ranges, pointers. */
    FAILS(vmap_malloc(map, 0), VMAP_ESIZE);
    FAILS(vmap_malloc(map, -5), VMAP_ESIZE);
    FAILS(vmap_malloc(map, 2147483647), VMAP_ENOMEM);
    FAILS(vmap_copy_from_memory(map, found, block, 0), VMAP_ESIZE);
    FAILS(vmap_copy_to_memory(map, block, data, -1), VMAP_ESIZE);
    FAILS(vmap_copy_from_memory(map, found, block, 101), VMAP_ERANGE);
    FAILS(vmap_copy_to_memory(map, block + 1, data, 100), VMAP_ERANGE);
    FAILS(vmap_copy_from_memory(map, found, block + 100, 1), VMAP_EPOINTER);
    FAILS(vmap_copy_from_memory(map, found, other - 1, 1), VMAP_EPOINTER);
    FAILS(vmap_copy_from_memory(map, found, other + 5000, 1), VMAP_EPOINTER);
    FAILS(vmap_copy_from_memory(map, found, NULL, 1), VMAP_EPOINTER);
    FAILS(vmap_copy_from_memory(map, found, data, 1), VMAP_EPOINTER);
    FAILS(vmap_copy_to_memory(map, (void *)-1L, data, 1), VMAP_EPOINTER);
    FAILS(vmap_copy_from_memory(map, NULL, block, 1), VMAP_EDATA);
    FAILS(vmap_copy_to_memory(map, block, NULL, 1), VMAP_EDATA);
    FREE_FAILS(map, block + 16, VMAP_EMIDDLE);
    FREE_FAILS(map, other + PAGE, VMAP_EMIDDLE);
    FREE_FAILS(map, data, VMAP_EPOINTER);
    FREE_FAILS(map, NULL, VMAP_OK);
    FAILS(vmap_statistics(NULL), VMAP_EDATA);
    FAILS(vmap_setup(NULL), VMAP_EBUSY);

    /* Nothing was lost by all that. */
    CHECK(vmap_copy_from_memory(map, found, block, 100) == 0 && memcmp(found, data, 100) == 0, "contents");
    vmap_free(map, block);
    CHECK(vmap_error() == VMAP_OK, "free");
    FREE_FAILS(map, block, VMAP_EPOINTER);
    FAILS(vmap_copy_from_memory(map, found, block, 1), VMAP_EPOINTER);
    FAILS(vmap_copy_to_memory(map, block, data, 1), VMAP_EPOINTER);

    /* Maps that are none. */
    struct VMap *none[] = {NULL, (void *)data, (void *)-1L, (void *)((char *)map + 16), (void *)((char *)map + 1)};
    for (int i = 0; i < 5; i++) {
        FAILS(vmap_malloc(none[i], 10), VMAP_ENOMAP);
        FREE_FAILS(none[i], other, VMAP_ENOMAP);
        FAILS(vmap_copy_to_memory(none[i], other, data, 1), VMAP_ENOMAP);
        FAILS(vmap_copy_from_memory(none[i], found, other, 1), VMAP_ENOMAP);
        FAILS(vmap_destroy(none[i]), VMAP_ENOMAP);
    }
    CHECK(vmap_destroy(map) == 0, "destroy");
    FAILS(vmap_destroy(map), VMAP_ENOMAP);
    FAILS(vmap_malloc(map, 10), VMAP_ENOMAP);
    FAILS(vmap_copy_from_memory(map, found, other, 1), VMAP_ENOMAP);

    /* Another map, at the same addresses: nothing of the one before is to be seen or used. */
    vmap_select_owner(9);
    struct VMap *next = vmap_create();
    FAILS(vmap_copy_from_memory(next, found, other, 1), VMAP_EPOINTER);
    FAILS(vmap_copy_from_memory(map, found, other, 1), VMAP_ENOMAP);
    char *fresh = vmap_malloc(next, 5000);
    for (int i = 0; i < 50; i++) {
        CHECK(vmap_copy_from_memory(next, found, fresh + i * 100, 100) == 0, "copy");
        for (int j = 0; j < 100; j++)
            CHECK(found[j] == 0, "another owner's bytes");
    }
    CHECK(vmap_destroy(next) == 0, "destroy");

    struct vmap_options bad = {.memory = 100};
    FAILS(vmap_setup(&bad), VMAP_EOPTION);
    bad = (struct vmap_options){.policy = "best"};
    FAILS(vmap_setup(&bad), VMAP_EOPTION);
    bad = (struct vmap_options){.space = (size_t)8 << 40};
    FAILS(vmap_setup(&bad), VMAP_EOPTION);
    bad = (struct vmap_options){.directory = "/nowhere"};
    FAILS(vmap_setup(&bad), VMAP_ESYSTEM);
    for (int error = -20; error < 3; error++)
        CHECK(vmap_strerror(error) && *vmap_strerror(error), "no text for %d", error);
    CHECK(*vmap_strerror(-2147483647 - 1), "no text");
}

/* Until nothing is left: then NULL, and everything that was given holds its bytes. */
static void exhaustion(void)
{
    struct VMap *map = vmap_create();
    static char *block[4096];
    char page[PAGE], found[PAGE];
    int n = 0;
    while (n < 4096 && (block[n] = vmap_malloc(map, PAGE))) {
        memset(page, n, PAGE);
        CHECK(vmap_copy_to_memory(map, block[n], page, PAGE) == 0, "copy %d: %s", n, vmap_strerror(vmap_error()));
        n++;
    }
    CHECK(vmap_error() == VMAP_ENOMEM && n >= 2000 && n <= 2048, "%d blocks", n);
    struct vmap_statistics statistics;
    CHECK(vmap_statistics(&statistics) == 0 && statistics.frames == 64 && statistics.frames_used == 64, "frames");
    CHECK(statistics.swap_writes > 1000, "%lu writes", statistics.swap_writes);
    for (int i = 0; i < n; i++) {
        memset(page, i, PAGE);
        CHECK(vmap_copy_from_memory(map, found, block[i], PAGE) == 0 && memcmp(page, found, PAGE) == 0, "block %d", i);
    }
    for (int i = 0; i < n; i++)
        vmap_free(map, block[i]);
    CHECK(vmap_malloc(map, 1000 * PAGE) != NULL, "what was freed cannot be had");
    CHECK(vmap_destroy(map) == 0, "destroy");
    CHECK(vmap_statistics(&statistics) == 0 && statistics.frames_used == 0 && statistics.slots_used == 0 && statistics.maps == 0,
          "%lu frames, %lu slots, %lu maps are left", statistics.frames_used, statistics.slots_used, statistics.maps);
}

/* A child has no maps, and makes its own without touching its parent's. */
static void forks(void)
{
    vmap_select_owner(3);
    struct VMap *map = vmap_create();
    char *block = vmap_malloc(map, 200 * PAGE), value, found;
    for (int page = 0; page < 200; page++) {
        value = page;
        CHECK(vmap_copy_to_memory(map, block + page * PAGE, &value, 1) == 0, "copy");
    }
    pid_t child = fork();
    if (child == 0) {
        FAILS(vmap_copy_from_memory(map, &found, block, 1), VMAP_ENOMAP);
        struct VMap *own = vmap_create();
        char *other = vmap_malloc(own, 200 * PAGE);
        for (int page = 0; page < 200; page++) {
            value = 200 - page;
            CHECK(vmap_copy_to_memory(own, other + page * PAGE, &value, 1) == 0, "copy");
        }
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child: status %x", status);
    for (int page = 0; page < 200; page++)
        CHECK(vmap_copy_from_memory(map, &found, block + page * PAGE, 1) == 0 && found == (char)page, "page %d", page);
    CHECK(vmap_destroy(map) == 0, "destroy");
}

struct thread {
    pthread_t id;
    struct VMap *map;
    int owner, number, steps;
};

static void compare(struct VMap *map, char *block, uint64_t key, int size, int at, int n)
{
    unsigned char found[20000];
    CHECK(vmap_copy_from_memory(map, found, block + at, n) == 0, "%s", vmap_strerror(vmap_error()));
    for (int i = 0; i < n; i++)
        CHECK(found[i] == (unsigned char)mix(key + at + i), "byte %d of %d is wrong", at + i, size);
}

static void *work(void *argument)
{
    struct thread *me = argument;
    unsigned char bytes[20000];
    char *block[BLOCKS] = {0};
    int size[BLOCKS];
    uint64_t key[BLOCKS], random = mix(me->owner * 1000 + me->number);
    vmap_select_owner(me->owner);
    for (int step = 0; step < me->steps; step++) {
        random = mix(random);
        int i = random % BLOCKS;
        if (!block[i]) {
            size[i] = random >> 16 & 7 ? 1 + (random >> 24) % 3000 : 1 + (random >> 24) % 20000;
            block[i] = vmap_malloc(me->map, size[i]);
            if (!block[i]) {
                CHECK(vmap_error() == VMAP_ENOMEM, "%s", vmap_strerror(vmap_error()));
                continue;
            }
            key[i] = random;
            for (int at = 0; at < size[i]; at++)
                bytes[at] = mix(key[i] + at);
            CHECK(vmap_copy_to_memory(me->map, block[i], bytes, size[i]) == 0, "%s", vmap_strerror(vmap_error()));
        } else if ((random >> 20 & 3) == 0) {
            compare(me->map, block[i], key[i], size[i], 0, size[i]);
            vmap_free(me->map, block[i]);
            CHECK(vmap_error() == VMAP_OK, "%s", vmap_strerror(vmap_error()));
            block[i] = NULL;
        } else {
            int at = (random >> 24) % size[i], n = 1 + (random >> 40) % (size[i] - at);
            compare(me->map, block[i], key[i], size[i], at, n);
            if (random >> 63) {
                key[i] = random;
                for (int k = 0; k < size[i]; k++)
                    bytes[k] = mix(key[i] + k);
                CHECK(vmap_copy_to_memory(me->map, block[i], bytes, size[i]) == 0, "%s", vmap_strerror(vmap_error()));
            }
        }
    }
    for (int i = 0; i < BLOCKS; i++)
        if (block[i]) {
            compare(me->map, block[i], key[i], size[i], 0, size[i]);
            if (i % 2)
                vmap_free(me->map, block[i]);
        }
    return NULL;
}

static void owners(int owners, int threads, int steps)
{
    struct VMap *maps[owners];
    struct thread thread[owners * threads];
    for (int i = 0; i < owners; i++) {
        vmap_select_owner(100 + i);
        CHECK((maps[i] = vmap_create()), "map %d", i);
        for (int j = 0; j < threads; j++) {
            struct thread *one = &thread[i * threads + j];
            *one = (struct thread){.map = maps[i], .owner = 100 + i, .number = j, .steps = steps};
            CHECK(pthread_create(&one->id, NULL, work, one) == 0, "thread");
        }
    }
    for (int i = 0; i < owners * threads; i++)
        pthread_join(thread[i].id, NULL);
    struct vmap_statistics statistics;
    CHECK(vmap_statistics(&statistics) == 0, "statistics");
    CHECK(statistics.swap_reads > 100 && statistics.swap_errors == 0, "%lu reads", statistics.swap_reads);
    for (int i = 0; i < owners; i++) {
        vmap_select_owner(100 + i);
        CHECK(vmap_destroy(maps[i]) == 0, "destroy %d", i);
    }
    CHECK(vmap_statistics(&statistics) == 0 && statistics.frames_used == 0 && statistics.slots_used == 0,
          "%lu frames, %lu slots are left", statistics.frames_used, statistics.slots_used);
}

int main(int argc, char **argv)
{
    int many = argc > 1 ? atoi(argv[1]) : 8, threads = argc > 2 ? atoi(argv[2]) : 4, steps = argc > 3 ? atoi(argv[3]) : 3000;
    static const char *const policies[] = {"fifo", "clock", "third-chance", "random"};
    errors();
    said("errors");
    for (int i = 0; i < 4; i++) {
        struct vmap_options options = {.memory = MEMORY, .swap = SWAP, .policy = policies[i]};
        CHECK(vmap_setup(&options) == 0, "%s", vmap_strerror(vmap_error()));
        if (i == 0) {
            exhaustion();
            said("exhaustion");
            forks();
            said("fork");
        }
        owners(many, threads, steps);
        said(policies[i]);
    }
    /* One frame for everybody. */
    struct vmap_options options = {.memory = PAGE, .swap = SWAP};
    CHECK(vmap_setup(&options) == 0, "%s", vmap_strerror(vmap_error()));
    owners(many, threads, steps / 10 + 20);
    said("one frame");
    return 0;
}

/* Is memory that an owner has freed memory again for everybody, at once?
 *
 *     vmap_freed [MAPS]
 *
 * An owner who holds everything frees one block after another: as soon as what it freed contains a page, another owner gets one.
 * MAPS owners who have allocated blocks of all lengths and freed them all keep nothing: another gets everything. At
 * the same time others allocate, free, copy, and end their maps, and their bytes stay theirs. */
#include "../common.h"
#include <vmap.h>

enum { MEMORY = 16 * PAGE, SWAP = 1 * MIB, MOST = 70000 };

static void *blocks[MOST];

static int fill_up(struct VMap *map, int size)
{
    int n = 0;
    while (n < MOST && (blocks[n] = vmap_malloc(map, size)) != NULL)
        n++;
    CHECK(vmap_error() == VMAP_ENOMEM, "%s", vmap_strerror(vmap_error()));
    return n;
}

/* Another owner gets a page when a page's worth of neighbours was freed. */
static void one_by_one(int size)
{
    vmap_select_owner(1);
    struct VMap *map = vmap_create();
    int n = fill_up(map, size);
    vmap_select_owner(2);
    struct VMap *other = vmap_create();
    while (vmap_malloc(other, PAGE) != NULL) /* what was too little for a block of that size */
        ;
    int freed = 0;
    do {
        vmap_select_owner(1);
        vmap_free(map, blocks[freed++]);
        CHECK(vmap_error() == VMAP_OK, "free");
        vmap_select_owner(2);
    } while (freed < n && vmap_malloc(other, PAGE) == NULL);
    CHECK(freed <= 2 * PAGE / size + 1, "%d blocks of %d bytes were freed before another owner got a page", freed, size);
    CHECK(vmap_destroy(other) == 0, "destroy");
    vmap_select_owner(1);
    CHECK(vmap_destroy(map) == 0, "destroy");
}

static void all_sizes(struct VMap *map)
{
    int n = 0;
    for (int round = 0; round < 6; round++)
        for (int size = 16; size <= 65536; size += size / 4)
            if ((blocks[n] = vmap_malloc(map, size)) != NULL)
                n++;
    while (n > 0)
        vmap_free(map, blocks[--n]);
}

static void nothing_kept(int maps)
{
    struct VMap *held[64];
    for (int i = 0; i < maps; i++) {
        vmap_select_owner(i + 1);
        all_sizes(held[i] = vmap_create());
    }
    vmap_select_owner(99);
    struct VMap *map = vmap_create();
    int pages = fill_up(map, PAGE);
    CHECK(pages == SWAP / PAGE, "%d maps without a block keep %d pages", maps, SWAP / PAGE - pages);
    CHECK(vmap_destroy(map) == 0, "destroy");
    for (int i = 0; i < maps; i++) {
        vmap_select_owner(i + 1);
        CHECK(vmap_destroy(held[i]) == 0, "destroy");
    }
}

/* Owners that always want more than there is, so that each takes in what the others freed; some end their maps. */
static void *want_more(void *number)
{
    int owner = 100 + (int)(intptr_t)number;
    uint64_t random = owner;
    vmap_select_owner(owner);
    struct VMap *map = vmap_create();
    struct { char *at; int size; uint64_t key; } own[200] = {0};
    static __thread unsigned char bytes[40000], found[40000];
    for (int step = 0; step < 6000; step++) {
        int i = between(&random, 0, 199);
        if (step % 1500 == 1499) {
            CHECK(vmap_destroy(map) == 0 && (map = vmap_create()) != NULL, "a new map");
            memset(own, 0, sizeof own);
        } else if (own[i].at != NULL) {
            CHECK(vmap_copy_from_memory(map, found, own[i].at, own[i].size) == 0, "copy");
            memset(bytes, (int)own[i].key, own[i].size);
            CHECK(memcmp(bytes, found, own[i].size) == 0, "another's bytes");
            vmap_free(map, own[i].at), own[i].at = NULL;
        } else {
            own[i].size = between(&random, 1, sizeof bytes), own[i].key = next_random(&random);
            own[i].at = vmap_malloc(map, own[i].size);
            memset(bytes, (int)own[i].key, own[i].size);
            CHECK(own[i].at == NULL || vmap_copy_to_memory(map, own[i].at, bytes, own[i].size) == 0, "copy");
        }
    }
    CHECK(vmap_destroy(map) == 0, "destroy");
    return NULL;
}

int main(int argc, char **argv)
{
    int maps = argc > 1 ? atoi(argv[1]) : 32;
    struct vmap_options options = {.memory = MEMORY, .swap = SWAP};
    CHECK(vmap_setup(&options) == 0, "setup");
    for (int size = 16; size <= 128 * KIB; size += size / 2)
        one_by_one(size);
    said("freed blocks are another owner's");
    nothing_kept(maps);
    said("maps without blocks keep nothing");
    pthread_t threads[8];
    for (intptr_t i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, want_more, (void *)i) == 0, "thread");
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    nothing_kept(maps);
    said("nor do those of threads");
    return 0;
}

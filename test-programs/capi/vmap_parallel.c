/* Do different owners wait for each other's disk? To be run with a slow disk (strace: pread64 delayed).
 *
 * One owner alone reads pages from swap; then eight do at the same time. If they waited for each other it would
 * take eight times as long; three times is allowed. */
#include "../common.h"
#include <time.h>
#include <vmap.h>

enum { OWNERS = 8, PAGES = 40, READS = 10 };

static struct VMap *maps[OWNERS];
static char *blocks[OWNERS];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void *reads(void *argument)
{
    long me = (long)argument;
    char found;
    vmap_select_owner(me);
    for (int i = 0; i < READS; i++) {
        CHECK(vmap_copy_from_memory(maps[me], &found, blocks[me] + i * PAGE, 1) == 0, "%s", vmap_strerror(vmap_error()));
        CHECK(found == me + i + 1, "page %d of owner %ld", i, me);
    }
    return NULL;
}

int main(void)
{
    struct vmap_options options = {.memory = 64 * PAGE, .swap = 1024 * PAGE, .policy = "fifo"};
    CHECK(vmap_setup(&options) == 0, "setup");
    double alone = 0, together;
    for (int round = 0; round < 2; round++) {
        for (long i = 0; i < OWNERS; i++) {
            vmap_select_owner(i);
            if (!maps[i]) {
                CHECK((maps[i] = vmap_create()) && (blocks[i] = vmap_malloc(maps[i], PAGES * PAGE)), "map");
            }
            for (int page = 0; page < PAGES; page++) {
                char value = i + page + 1;
                CHECK(vmap_copy_to_memory(maps[i], blocks[i] + page * PAGE, &value, 1) == 0, "copy");
            }
        }
        double began = now();
        if (round == 0) {
            reads((void *)0);
            alone = now() - began;
            continue;
        }
        pthread_t threads[OWNERS];
        for (long i = 0; i < OWNERS; i++)
            pthread_create(&threads[i], NULL, reads, (void *)i);
        for (int i = 0; i < OWNERS; i++)
            pthread_join(threads[i], NULL);
        together = now() - began;
    }
    fprintf(stderr, "one owner %.3f s, %d owners %.3f s\n", alone, OWNERS, together);
    CHECK(alone > 0.1, "the disk is not slow, this proves nothing");
    CHECK(together < 3 * alone, "the owners wait for each other");
    printf("parallel\n");
    return 0;
}

/* Question: when everything is handed out, does malloc say NULL with ENOMEM instead of letting a
 * touch die, is every page it did hand out good, and is as much available again after frees, to
 * the thread that filled memory and to every other thread?
 *
 * Natively the limit argument stands in for the end of memory, so only facts that hold in both
 * runs are printed. With TEST_EXPECT_NULL=1 the NULL must come below the limit.
 *
 * usage: fill_until_null [block size] [limit in bytes]
 */
#include "common.h"

enum { HELPERS = 4 };

struct node {
    struct node *next;
    size_t size;
};

static size_t block_size, limit;
static pthread_barrier_t barrier;
static struct node *freed_by_main;   /* how much main gave back: this many blocks of block_size */
static size_t freed_count;

/* Allocates nodes of `size` until NULL or the limit, touching every page; the newest is the head.
 * Returns how many were had. */
static size_t fill_memory(struct node **list, size_t size, const char *what)
{
    size_t count = 0;
    *list = NULL;
    for (size_t total = 0; total < limit; total += size) {
        errno = 0;
        struct node *node = malloc(size);
        if (node == NULL) {
            CHECK(errno == ENOMEM, "%s: NULL with errno %d", what, errno);
            return count;
        }
        node->next = *list;
        node->size = size;
        fill(node + 1, size - sizeof *node, (uint64_t)count);
        *list = node;
        count++;
    }
    CHECK(!expect_null(), "%s: no NULL within %zu bytes", what, limit);
    return count;
}

static struct node *reverse(struct node *list)
{
    struct node *reversed = NULL;
    while (list != NULL) {
        struct node *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

/* `first` and `step` say which key the head has, and which way the keys run. */
static void verify_list(struct node *list, size_t first, long step, const char *what)
{
    for (size_t key = first; list != NULL; list = list->next, key += step)
        verify(list + 1, list->size - sizeof *list, key, what);
}

static void free_list(struct node *list)
{
    while (list != NULL) {
        struct node *next = list->next;
        free(list);
        list = next;
    }
}

/* One thread fills and empties memory twice: as much must be there the second time. */
static void fill_twice(size_t size, const char *what)
{
    struct node *list;
    size_t first = fill_memory(&list, size, what);
    CHECK(first > 0, "%s: nothing at all", what);
    verify_list(list, first - 1, -1, what);
    list = reverse(list);
    verify_list(list, 0, 1, what);
    free_list(list);
    size_t second = fill_memory(&list, size, what);
    /* A few just-freed blocks that wait for reuse may stand across the way of a perfect packing. */
    CHECK(second + 16 >= first, "%s: %zu blocks at first, %zu after freeing all", what, first, second);
    verify_list(list, second - 1, -1, what);
    free_list(list);
    printf("%s: filled, verified both ways, as much again after free\n", what);
    fflush(stdout);
}

/* Waits until main has filled memory and freed half of it, then has its share of that half. */
static void *helper(void *parameter)
{
    size_t me = (size_t)parameter;
    pthread_barrier_wait(&barrier);
    struct node *list = NULL;
    for (size_t i = me; i < freed_count; i += HELPERS) {
        struct node *node = malloc(block_size);
        CHECK(node != NULL, "helper %zu: NULL for block %zu of %zu freed ones", me, i, freed_count);
        node->next = list;
        node->size = block_size;
        fill(node + 1, block_size - sizeof *node, 77 + me);
        list = node;
    }
    pthread_barrier_wait(&barrier);
    for (struct node *node = list; node != NULL; node = node->next)
        verify(node + 1, node->size - sizeof *node, 77 + me, "helper");
    free_list(list);
    return NULL;
}

static void hand_over(void)
{
    pthread_t helpers[HELPERS];
    pthread_barrier_init(&barrier, NULL, HELPERS + 1);
    for (size_t i = 0; i < HELPERS; i++)
        helpers[i] = start(helper, (void *)i);
    struct node *list, *kept = NULL;
    size_t count = fill_memory(&list, block_size, "hand over");
    /* Keep every other block; a little is left unclaimed for each helper's own bookkeeping. */
    for (size_t i = 0; list != NULL; i++) {
        struct node *next = list->next;
        if (i % 2 == 0) {
            list->next = freed_by_main;
            freed_by_main = list;
        } else {
            list->next = kept;
            kept = list;
        }
        list = next;
    }
    for (size_t i = 0; freed_by_main != NULL; i++) {
        struct node *next = freed_by_main->next;
        free(freed_by_main);
        freed_by_main = next;
        freed_count = i;
    }
    freed_count -= freed_count / 8;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < HELPERS; i++)
        pthread_join(helpers[i], NULL);
    size_t key = (count - 1) % 2 == 0 ? 1 : 0;   /* the oldest block that was kept */
    verify_list(kept, key, 2, "kept by main");
    free_list(kept);
    printf("other threads had what main freed, and main's blocks stayed\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    block_size = argument(argc, argv, 1, 64 * KIB);
    limit = argument(argc, argv, 2, 64 * MIB);
    fill_twice(block_size, "blocks");
    fill_twice(PAGE - 64, "pages");
    fill_twice(96, "small blocks");
    hand_over();
    fill_twice(block_size, "blocks again");
    return 0;
}

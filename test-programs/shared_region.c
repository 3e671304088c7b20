/* Question: is shalloc's memory shared by all threads, never paged out, bounded (NULL when it is
 * full) and given back by shfree and free, and do myallocate and mydeallocate keep their promises?
 *
 * Natively the functions do not exist and malloc stands in, so only facts true of both are printed;
 * the strict ones are asked under TEST_EXPECT_NULL=1. usage: shared_region [bytes to page out]
 */
#include "common.h"

#include <fcntl.h>

enum { THREADREQ = 0, LIBRARYREQ = 1, REGION = 4 * PAGE, BLOCK = 100, MOST = 1000 };

extern void *shalloc(size_t) __attribute__((weak));
extern void shfree(void *) __attribute__((weak));
extern void *myallocate(size_t, const char *, int, int) __attribute__((weak));
extern void mydeallocate(void *, const char *, int, int) __attribute__((weak));

static size_t churn;
static unsigned char *counter;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *shared(size_t size)
{
    return shalloc ? shalloc(size) : malloc(size);
}

static void give_back(void *block)
{
    if (shfree)
        shfree(block);
    else
        free(block);
}

static void *mine(size_t size, int who)
{
    return myallocate ? myallocate(size, __FILE__, __LINE__, who) : malloc(size);
}

static void not_mine(void *block, int who)
{
    if (mydeallocate)
        mydeallocate(block, __FILE__, __LINE__, who);
    else
        free(block);
}

/* Whether the page of `address` is mapped readable and writable: a page that was evicted is not.
 * Reads /proc/self/maps by hand, so that nothing is allocated. */
static int is_open(const void *address)
{
    static char text[1 << 20];
    size_t length = 0;
    ssize_t count;
    int file = open("/proc/self/maps", O_RDONLY);
    CHECK(file >= 0, "/proc/self/maps");
    while ((count = read(file, text + length, sizeof text - 1 - length)) > 0)
        length += count;
    close(file);
    text[length] = 0;
    for (char *line = text; line != NULL && *line; line = strchr(line, '\n'), line += line != NULL) {
        char *dash, *rights;
        uintptr_t first = strtoull(line, &dash, 16), end = strtoull(dash + 1, &rights, 16);
        if ((uintptr_t)address >= first && (uintptr_t)address < end)
            return strncmp(rights, " rw", 3) == 0;
    }
    return 0;
}

static void *increment(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        uint64_t value;
        memcpy(&value, counter, sizeof value);
        value++;
        memcpy(counter, &value, sizeof value);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void shared_by_threads(void)
{
    pthread_t threads[4];
    counter = shared(8);
    CHECK(counter != NULL, "shalloc(8)");
    memset(counter, 0, 8);
    for (int i = 0; i < 4; i++)
        threads[i] = start(increment, NULL);
    page_out(churn);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    uint64_t value;
    memcpy(&value, counter, sizeof value);
    give_back(counter);
    printf("counted %llu\n", (unsigned long long)value);
}

/* Fills the region with blocks of `size`; returns how many there were room for. */
static size_t fill_region(void **blocks, size_t size)
{
    size_t count = 0;
    for (; count < MOST; count++) {
        errno = 0;
        blocks[count] = shared(size);
        if (blocks[count] == NULL)
            break;
        CHECK((uintptr_t)blocks[count] % 16 == 0, "shalloc alignment");
        fill(blocks[count], size, count);
    }
    page_out(churn);
    for (size_t i = 0; i < count; i++) {
        verify(blocks[i], size, i, "shared");
        if (expect_null())
            CHECK(is_open(blocks[i]), "a shared page was paged out");
    }
    if (expect_null()) {
        CHECK(count < MOST && errno != 0, "shalloc never said NULL");
        CHECK(count * size <= REGION && count * size >= REGION / 2, "%zu blocks of %zu", count, size);
    }
    return count;
}

static void bounded(void)
{
    static void *blocks[MOST];
    size_t first = fill_region(blocks, BLOCK);
    for (size_t i = 0; i < first; i++)
        i % 2 ? give_back(blocks[i]) : free(blocks[i]);
    CHECK(fill_region(blocks, BLOCK) == first, "less after shfree and free");
    for (size_t i = 0; i < first; i++)
        give_back(blocks[i]);
    void *whole = shared(2 * PAGE);
    CHECK(whole != NULL, "the freed blocks did not become whole again");
    fill(whole, 2 * PAGE, 3);
    if (expect_null()) {
        CHECK(shared(REGION) == NULL, "more than the region");
        CHECK(shared(SIZE_MAX) == NULL && shared((size_t)1 << 40) == NULL, "impossible sizes");
    }
    page_out(churn);
    verify(whole, 2 * PAGE, 3, "two shared pages");
    give_back(whole);
    printf("filled, freed, filled again\n");
}

static void by_request(void)
{
    enum { COUNT = 50 };
    void *thread_blocks[COUNT], *library_blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        thread_blocks[i] = mine(1000 + i, THREADREQ);
        library_blocks[i] = mine(10 + i, LIBRARYREQ);
        CHECK(thread_blocks[i] != NULL && library_blocks[i] != NULL, "myallocate");
        fill(thread_blocks[i], 1000 + i, i);
        fill(library_blocks[i], 10 + i, 1000 + i);
    }
    page_out(churn);
    uint64_t sum = 0;
    for (int i = 0; i < COUNT; i++) {
        if (expect_null())
            CHECK(is_open(library_blocks[i]), "LIBRARYREQ memory was paged out");
        sum += verify(thread_blocks[i], 1000 + i, i, "THREADREQ");
        sum += verify(library_blocks[i], 10 + i, 1000 + i, "LIBRARYREQ");
        not_mine(thread_blocks[i], THREADREQ);
        not_mine(library_blocks[i], LIBRARYREQ);
    }
    printf("myallocate %016llx\n", (unsigned long long)sum);
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    if (expect_null())
        CHECK(shalloc && shfree && myallocate && mydeallocate, "the library's functions are missing");
    shared_by_threads();
    bounded();
    by_request();
    return 0;
}

/* Question: does the first phase of the thread-library assignment hold, where each thread's memory is one page? Requests are met from that
 * page until it is full, and then every later one is answered with NULL, whatever is freed; what the library itself asks for
 * (LIBRARYREQ), and what it takes to begin a thread, is nobody's page.
 *
 * Natively a thread is made to count its bytes. usage: phase_a [THREADS]
 */
#include "common.h"

enum { LIBRARYREQ = 1 };

extern void *myallocate(size_t, const char *, int, int) __attribute__((weak));
extern void mydeallocate(void *, const char *, int, int) __attribute__((weak));

static pthread_barrier_t all_are_there;
static const size_t SIZE = 100;

/* Natively a thread has one page as well, by this count. */
static __thread size_t used;
static void *ask(size_t size)
{
    if (myallocate)
        return malloc(size);
    used += (size + 15) & ~(size_t)15;
    return used > PAGE ? NULL : malloc(size);
}

static void *ask_for_library(size_t size)
{
    return myallocate ? myallocate(size, __FILE__, __LINE__, LIBRARYREQ) : malloc(size);
}

static void *one_page(void *ignored)
{
    (void)ignored;
    pthread_barrier_wait(&all_are_there);
    unsigned char *control = ask_for_library(200);
    CHECK(control != NULL, "no memory of the library's");
    memset(control, 0x11, 200);
    unsigned char *blocks[PAGE], *page = NULL;
    int n = 0;
    while ((blocks[n] = ask(SIZE)) != NULL) {
        memset(blocks[n], 0x22, SIZE);
        if (n == 0)
            page = (unsigned char *)((uintptr_t)blocks[0] & -(uintptr_t)PAGE);
        if (myallocate)
            CHECK(blocks[n] >= page && blocks[n] + SIZE <= page + PAGE, "block %d lies elsewhere", n);
        n++;
    }
    CHECK(n == PAGE / 112, "%d blocks of %zu bytes fit into a page", n, SIZE);
    for (int i = 0; i < 10; i++) {
        free(blocks[i]);
        CHECK(ask(1) == NULL && ask(SIZE) == NULL && ask(2 * PAGE) == NULL, "a thread whose memory is full got some");
    }
    unsigned char *more = ask_for_library(5 * SIZE);
    CHECK(more != NULL && (!myallocate || more + 5 * SIZE <= page || more >= page + PAGE), "the library's memory is on the thread's page");
    memset(more, 0x33, 5 * SIZE);
    for (int i = 10; i < n; i++)
        for (size_t at = 0; at < SIZE; at++)
            CHECK(blocks[i][at] == 0x22, "byte %zu of block %d is another", at, i);
    for (int i = 0; i < 200; i++)
        CHECK(control[i] == 0x11, "byte %d of the library's block is another", i);
    if (mydeallocate)
        mydeallocate(control, __FILE__, __LINE__, LIBRARYREQ), mydeallocate(more, __FILE__, __LINE__, LIBRARYREQ);
    return NULL;
}

/* A thread whose memory is full begins another. */
static void *begin_another(void *ignored)
{
    while (ask(SIZE) != NULL)
        ;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, one_page, ignored) == 0, "no thread by one whose memory is full");
    pthread_join(thread, NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 32;
    pthread_t threads[1000];
    pthread_barrier_init(&all_are_there, NULL, n);
    for (int i = 0; i < n; i++)
        CHECK(pthread_create(&threads[i], NULL, one_page, NULL) == 0, "thread %d cannot begin", i);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_init(&all_are_there, NULL, 1);
    CHECK(pthread_create(&threads[0], NULL, begin_another, NULL) == 0, "thread");
    pthread_join(threads[0], NULL);
    static const char text[] = "every thread had its page, and no more\n";
    return write(1, text, sizeof text - 1) < 0;
}

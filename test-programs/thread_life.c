/* Question: do threads of pthread_create begin, work and end as they should: with the mask of their
 * creator, detached, cancelled in malloc, in a call or in a fault; do destructors of thread-specific data and
 * handlers at exit find a working heap?
 *
 * usage: thread_life [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static size_t churn, size;
static unsigned char *heap;
static atomic_int done;

static void heap_is_right(const char *when)
{
    page_out(churn);
    verify(heap, size, 1, when);
}

/* What a thread is asked about its mask: the set that it must have, and whether it may page. */
struct mask {
    sigset_t set;
    int pages;
};

static void *masked(void *parameter)
{
    struct mask *mask = parameter;
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int signal = 1; signal < 32; signal++)
        CHECK(sigismember(&now, signal) == sigismember(&mask->set, signal) || signal == SIGKILL || signal == SIGSTOP,
              "signal %d of the inherited mask: %d, paged %d", signal, sigismember(&now, signal), mask->pages);
    /* One that is sent waits, and one that is not blocked does not. */
    sigset_t pending;
    raise(SIGSEGV);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGSEGV) == sigismember(&mask->set, SIGSEGV), "a blocked SIGSEGV, paged %d", mask->pages);
    if (mask->pages) {
        verify(heap, size, 1, "under an inherited mask");
        page_out(churn / 2);
        verify(heap, size, 1, "under an inherited mask, paged");
    }
    return NULL;
}

/* Masks are inherited, before anything was paged out and after; a thread that blocks everything pages. */
static void masks(int pages)
{
    struct mask *mask = must_malloc(sizeof *mask);
    sigset_t old;
    pthread_sigmask(SIG_BLOCK, NULL, &old);
    signal(SIGSEGV, SIG_IGN);
    for (int which = 0; which < 5; which++) {
        if (which == 0)
            sigfillset(&mask->set);
        else
            sigemptyset(&mask->set);
        if (which == 1 || which == 3)
            sigaddset(&mask->set, SIGSEGV);
        if (which == 2 || which == 3)
            sigaddset(&mask->set, SIGSYS), sigaddset(&mask->set, SIGUSR1);
        mask->pages = pages;
        pthread_sigmask(SIG_SETMASK, &mask->set, NULL);
        pthread_join(start(masked, mask), NULL);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    signal(SIGSEGV, SIG_DFL);
    free(mask);
    said(pages ? "masks are inherited, paged" : "masks are inherited");
}

static void *detached(void *parameter)
{
    fill(parameter, 3000, 5);
    verify(parameter, 3000, 5, "in a detached thread");
    free(parameter);
    atomic_fetch_add(&done, 1);
    return NULL;
}

/* libc frees stacks and thread-local storage of threads that ended before, after the last destructor and
 * with every signal blocked: blocks that may be absent. */
static void detach(void)
{
    for (int i = 0; i < 400; i++) {
        pthread_t thread = start(detached, must_malloc(3000));
        pthread_detach(thread);
    }
    while (atomic_load(&done) < 400)
        usleep(1000);
    heap_is_right("after detached threads");
    said("detached");
}

/* Cancelled at points: in read, in nanosleep; what its clean-up frees was swapped out. */
static void free_it(void *block)
{
    verify(block, 20000, 6, "in a clean-up handler");
    free(block);
}

static void *deferred(void *parameter)
{
    int *ends = parameter;
    unsigned char *block = must_malloc(20000), *buffer = must_malloc(5000);
    fill(block, 20000, 6);
    pthread_cleanup_push(free_it, block);
    pthread_cleanup_push(free, buffer);
    page_out(churn / 8);
    for (;;) {
        CHECK(read(ends[0], buffer, 5000) > 0, "read");
        for (int i = 0; i < 50; i++)
            free(memset(must_malloc(100 * i + 1), 1, 100 * i + 1));
        pthread_testcancel();
    }
    pthread_cleanup_pop(1);
    pthread_cleanup_pop(1);
    return NULL;
}

/* No function may be cancelled anywhere but those that touch memory only. */
static void *anywhere(void *parameter)
{
    volatile unsigned char *block = parameter;
    int old;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    for (size_t i = 0;; i = (i + 4097) % (churn / 4))
        block[i]++;
    return NULL;
}

static void cancel(void)
{
    for (int i = 0; i < 30; i++) {
        int ends[2];
        CHECK(pipe(ends) == 0, "pipe");
        pthread_t thread = start(deferred, ends);
        CHECK(write(ends[1], "abcdef", 6) == 6, "write");
        usleep(i * 300);
        pthread_cancel(thread);
        void *result;
        pthread_join(thread, &result);
        CHECK(result == PTHREAD_CANCELED, "a thread that was cancelled returned");
        close(ends[0]), close(ends[1]);
    }
    heap_is_right("after deferred cancellation");
    unsigned char *block = calloc(1, churn / 4 + 1);
    for (int i = 0; i < 30; i++) {
        pthread_t threads[2] = {start(anywhere, block), start(anywhere, block)};
        usleep(1000 + i * 100);
        for (int j = 0; j < 2; j++) {
            void *result;
            pthread_cancel(threads[j]);
            pthread_join(threads[j], &result);
            CHECK(result == PTHREAD_CANCELED, "a thread that was cancelled returned");
        }
    }
    free(block);
    heap_is_right("after asynchronous cancellation");
    said("cancelled, deferred and asynchronous");
}

/* Destructors allocate, free, and set their keys again. */
static pthread_key_t keys[3];

static void destroy(void *value)
{
    unsigned char *block = value;
    unsigned round = block[0];
    verify(block + 8, 992, round, "thread-specific data");
    if (round < 4) {
        unsigned char *next = must_malloc(1000);
        next[0] = (unsigned char)(round + 1);
        fill(next + 8, 992, round + 1);
        pthread_setspecific(keys[round % 3], next);
    }
    page_out(churn / 8);
    free(block);
}

static void *with_keys(void *parameter)
{
    unsigned char *block = must_malloc(1000);
    block[0] = 1;
    fill(block + 8, 992, 1);
    pthread_setspecific(keys[0], block);
    return parameter;
}

static void specific(void)
{
    for (int i = 0; i < 3; i++)
        CHECK(pthread_key_create(&keys[i], destroy) == 0, "pthread_key_create");
    for (int i = 0; i < 20; i++)
        pthread_join(start(with_keys, NULL), NULL);
    heap_is_right("after destructors");
    said("thread-specific data");
}

static unsigned char *late;

static void at_exit(void)
{
    verify(late, 50000, 9, "at exit");
    free(late);
    page_out(churn);
    verify(heap, size, 1, "the heap at exit");
    said("handlers at exit");
}

static void *forever(void *parameter)
{
    for (;;)
        page_out((size_t)parameter);
    return NULL;
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    size = argument(argc, argv, 2, 2 * MIB);
    masks(0);
    heap = must_malloc(size);
    fill(heap, size, 1);
    late = must_malloc(50000);
    fill(late, 50000, 9);
    atexit(at_exit);
    page_out(churn);
    masks(1);
    detach();
    cancel();
    specific();
    start(forever, (void *)(churn / 4));   /* at the exit it still faults */
    start(forever, (void *)(churn / 4));
    usleep(10000);
    return 0;
}

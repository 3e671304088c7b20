/* Question: do threads begin, work and end as they should whoever makes them: detached, cancelled in
 * malloc or in a fault, by a bare clone, by libc for timers, asynchronous input and name look-ups; do
 * destructors of thread-specific data and handlers at exit find a working heap?
 *
 * usage: thread_life [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <aio.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

static size_t churn, size;
static unsigned char *heap;
static atomic_int done;

static void heap_is_right(const char *when)
{
    page_out(churn);
    verify(heap, size, 1, when);
}

/* Masks are inherited; a thread that blocks everything pages all the same. */
static void *masked(void *parameter)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int signal = 1; signal < 32; signal++)
        CHECK(sigismember(&now, signal) == (parameter != NULL || signal == SIGSEGV) || signal == SIGKILL || signal == SIGSTOP,
              "signal %d in the inherited mask", signal);
    verify(heap, size, 1, "under an inherited mask");
    page_out(churn / 2);
    verify(heap, size, 1, "under an inherited mask, paged");
    return NULL;
}

static void masks(void)
{
    sigset_t set, old;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    pthread_join(start(masked, heap), NULL);
    sigemptyset(&set), sigaddset(&set, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    pthread_join(start(masked, NULL), NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    said("masks are inherited");
}

static void *detached(void *parameter)
{
    fill(parameter, 3000, 5);
    verify(parameter, 3000, 5, "in a detached thread");
    free(parameter);
    atomic_fetch_add(&done, 1);
    return NULL;
}

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

/* A thread that no library knows: it shares this thread's storage, so it only touches and calls. */
struct bare {
    unsigned char *block;
    size_t size;
    int ends[2];
    atomic_int tid, wrong;
};

static int bare(void *parameter)
{
    struct bare *own = parameter;
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < own->size; i += PAGE)
            own->block[i]++;
        if (syscall(SYS_write, own->ends[1], own->block + round * PAGE, PAGE) != PAGE
            || syscall(SYS_read, own->ends[0], own->block + (round + 20) * PAGE, PAGE) != PAGE
            || memcmp(own->block + round * PAGE, own->block + (round + 20) * PAGE, PAGE) != 0)
            atomic_fetch_add(&own->wrong, 1);
    }
    syscall(SYS_exit, 0);
    return 0;
}

static void bare_clone(void)
{
    enum { STACK = 64 * KIB, THREADS = 3 };
    struct bare all[THREADS];
    unsigned char *stacks = memalign(16, THREADS * STACK);
    for (int i = 0; i < THREADS; i++) {
        all[i] = (struct bare){.block = must_malloc(1 * MIB), .size = 1 * MIB, .tid = -1};
        memset(all[i].block, i, all[i].size);
        CHECK(pipe(all[i].ends) == 0, "pipe");
        int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
        int tid = clone(bare, stacks + (i + 1) * STACK, flags, &all[i], NULL, NULL, &all[i].tid);
        CHECK(tid > 0, "clone: %s", strerror(errno));
    }
    for (int i = 0; i < THREADS; i++) {
        while (atomic_load(&all[i].tid) != 0)
            page_out(churn / 4);
        CHECK(all[i].wrong == 0, "%d wrong transfers", all[i].wrong);
        for (size_t at = 0; at < all[i].size; at += PAGE)
            CHECK(all[i].block[at] == (at / PAGE >= 20 && at / PAGE < 40 ? all[i].block[at] : (unsigned char)(i + 20)), "wrong count");
        close(all[i].ends[0]), close(all[i].ends[1]);
        free(all[i].block);
    }
    free(stacks);
    heap_is_right("after threads of a bare clone");
    said("threads of a bare clone");
}

/* The same by an instruction of our own, and before anything was paged out: nobody was told. */
static long by_hand(long number, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

__attribute__((noreturn, noinline)) static void unknown(struct bare *own)
{
    for (int round = 0; round < 4000; round++) {
        unsigned char *page = own->block + round % 200 * PAGE, *copy = own->block + (round % 40 + 210) * PAGE;
        page[0]++;
        if (by_hand(SYS_write, own->ends[1], (long)page, PAGE, 0) != PAGE
            || by_hand(SYS_read, own->ends[0], (long)copy, PAGE, 0) != PAGE || memcmp(page, copy, PAGE) != 0)
            atomic_fetch_add(&own->wrong, 1);
    }
    by_hand(SYS_exit, 0, 0, 0, 0);
    __builtin_unreachable();
}

static void strangers(void)
{
    enum { STACK = 256 * KIB, THREADS = 2 };
    static struct bare all[THREADS];
    for (int i = 0; i < THREADS; i++) {
        char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        all[i] = (struct bare){.block = calloc(1, 1 * MIB), .size = 1 * MIB, .tid = -1};
        CHECK(pipe(all[i].ends) == 0, "pipe");
        struct bare **top = (struct bare **)(stack + STACK - 256);
        *top = &all[i];
        long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID, result;
        register long child_tid __asm__("r10") = (long)&all[i].tid;
        __asm__ volatile("syscall\n\t"
                         "test %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "mov (%%rsp), %%rdi\n\t"
                         "call *%4\n\t"
                         "1:"
                         : "=a"(result)
                         : "0"(SYS_clone), "D"(flags), "S"(top), "r"(unknown), "d"(0), "r"(child_tid)
                         : "rcx", "r11", "memory");
        CHECK(result > 0, "clone: %ld", result);
    }
    for (int i = 0; i < THREADS; i++) {
        while (atomic_load(&all[i].tid) != 0)
            page_out(churn / 2);
        CHECK(all[i].wrong == 0, "%d wrong transfers", all[i].wrong);
        for (size_t at = 0; at < 200 * PAGE; at += PAGE)
            CHECK(all[i].block[at] == 20, "wrong count %d", all[i].block[at]);
        close(all[i].ends[0]), close(all[i].ends[1]);
        free(all[i].block);
    }
    heap_is_right("after threads that nobody knew of");
    said("threads that nobody knew of");
}

static void on_timer(union sigval value)
{
    unsigned *counts = value.sival_ptr;
    verify(heap, size, 1, "in a timer's thread");
    void *block = must_malloc(3000);
    fill(block, 3000, 8);
    page_out(churn / 64);
    verify(block, 3000, 8, "a block of a timer's thread");
    free(block);
    __atomic_fetch_add(&counts[5000], 1, __ATOMIC_SEQ_CST);
}

static void helpers(void)
{
    unsigned *counts = calloc(10000, sizeof *counts);
    struct sigevent *event = calloc(1, sizeof *event);
    event->sigev_notify = SIGEV_THREAD, event->sigev_notify_function = on_timer, event->sigev_value.sival_ptr = counts;
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, event, &timer) == 0, "timer_create: %s", strerror(errno));
    struct itimerspec time = {{0, 5000000}, {0, 5000000}};
    timer_settime(timer, 0, &time, NULL);
    while (__atomic_load_n(&counts[5000], __ATOMIC_SEQ_CST) < 20)
        page_out(churn / 2);
    timer_delete(timer);
    heap_is_right("after timers");
    usleep(50000);   /* a last thread may be on its way */
    said("timer_create with SIGEV_THREAD");

    char name[] = "/tmp/thread_life.XXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0, "mkstemp");
    unlink(name);
    enum { TRANSFERS = 8, LENGTH = 100000 };
    struct aiocb *blocks = calloc(TRANSFERS, sizeof *blocks);
    for (int i = 0; i < TRANSFERS; i++) {
        blocks[i] = (struct aiocb){.aio_fildes = file, .aio_buf = must_malloc(LENGTH), .aio_nbytes = LENGTH, .aio_offset = i * LENGTH};
        fill((void *)blocks[i].aio_buf, LENGTH, 50 + i);
    }
    page_out(churn);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < TRANSFERS; i++)
            CHECK((pass ? aio_read : aio_write)(&blocks[i]) == 0, "aio: %s", strerror(errno));
        page_out(churn);
        for (int i = 0; i < TRANSFERS; i++) {
            const struct aiocb *one = &blocks[i];
            while (aio_error(one) == EINPROGRESS)
                aio_suspend(&one, 1, NULL);
            CHECK(aio_return(&blocks[i]) == LENGTH, "aio: %d", aio_error(one));
            verify((void *)blocks[i].aio_buf, LENGTH, 50 + i, "asynchronous transfer");
            if (pass == 0)
                memset((void *)blocks[i].aio_buf, 0, LENGTH);
        }
        page_out(churn);
    }
    for (int i = 0; i < TRANSFERS; i++)
        free((void *)blocks[i].aio_buf);
    free(blocks), close(file);
    said("aio_read and aio_write");

    struct gaicb *query = calloc(1, sizeof *query), *list[] = {query};
    query->ar_name = strdup("127.0.0.1");
    page_out(churn);
    CHECK(getaddrinfo_a(GAI_WAIT, list, 1, NULL) == 0 && gai_error(query) == 0, "getaddrinfo_a: %s", gai_strerror(gai_error(query)));
    freeaddrinfo(query->ar_result);
    free((char *)query->ar_name), free(query);
    free(event), free(counts);
    said("getaddrinfo_a");
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
    heap = must_malloc(size);
    fill(heap, size, 1);
    late = must_malloc(50000);
    fill(late, 50000, 9);
    atexit(at_exit);
    strangers();
    masks();
    detach();
    cancel();
    specific();
    bare_clone();
    helpers();
    start(forever, (void *)(churn / 4));   /* at the exit it still faults */
    start(forever, (void *)(churn / 4));
    usleep(10000);
    return 0;
}

/* Question: do threads that pthread_create did not make work while memory is paged: of a bare clone, also
 * by an instruction before anything was paged out, so that nobody was told; and those that libc makes for
 * timers, asynchronous input and output, and look-ups?
 *
 * usage: thread_makers [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <aio.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

static size_t churn, size;
static unsigned char *heap;

static void heap_is_right(const char *when)
{
    page_out(churn);
    verify(heap, size, 1, when);
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
    uint64_t mask = 0;
    if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask) != 0 || mask != ((1 << (SIGSEGV - 1)) | (1 << (SIGUSR2 - 1))))
        atomic_fetch_add(&own->wrong, 1000);
    for (int round = 0; round < 20 && own->wrong == 0; round++) {
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
    /* They inherit what is blocked. */
    sigset_t set, old;
    sigemptyset(&set), sigaddset(&set, SIGSEGV), sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &set, &old);
    for (int i = 0; i < THREADS; i++) {
        all[i] = (struct bare){.block = must_malloc(1 * MIB), .size = 1 * MIB, .tid = -1};
        memset(all[i].block, i, all[i].size);
        CHECK(pipe(all[i].ends) == 0, "pipe");
        int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
        int tid = clone(bare, stacks + (i + 1) * STACK, flags, &all[i], NULL, NULL, &all[i].tid);
        CHECK(tid > 0, "clone: %s", strerror(errno));
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    for (int i = 0; i < THREADS; i++) {
        while (atomic_load(&all[i].tid) != 0)
            page_out(churn / 4);
        CHECK(all[i].wrong == 0, "%d wrong transfers (1000: another mask than its creator's)", all[i].wrong);
        for (size_t at = 0; at < all[i].size; at += PAGE)
            CHECK(all[i].block[at] == (at / PAGE >= 20 && at / PAGE < 40 ? all[i].block[at] : (unsigned char)(i + 20)), "wrong count");
        close(all[i].ends[0]), close(all[i].ends[1]);
        free(all[i].block);
    }
    free(stacks);
    heap_is_right("after threads of a bare clone");
    said("threads of a bare clone");
}

/* The same by an instruction of our own, and before anything was paged out: nobody was told. Its stack is a
 * block, and it goes on until it has been paged out many times. */
static long by_hand(long number, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

enum { STRANGERS = 2, PAGES = 40, OTHERS = 10, STRANGE_STACK = 32 * KIB };
static struct bare unknowns[STRANGERS];
static unsigned counts[STRANGERS][PAGES];
static atomic_int enough;

__attribute__((noreturn, noinline)) static void unknown(struct bare *own)
{
    unsigned *count = counts[own - unknowns];
    for (unsigned round = 0; !atomic_load(&enough) && own->wrong == 0; round++) {
        /* Into a page that was not touched, and out of one that was not read. */
        unsigned char *from = own->block + round * 7 % PAGES * PAGE, *to = own->block + (PAGES + round % OTHERS) * PAGE;
        if (by_hand(SYS_write, own->ends[1], (long)from, PAGE, 0) != PAGE
            || by_hand(SYS_read, own->ends[0], (long)to, PAGE, 0) != PAGE || memcmp(from, to, PAGE) != 0)
            atomic_fetch_add(&own->wrong, 1);
        own->block[round % PAGES * PAGE]++;
        count[round % PAGES]++;
    }
    by_hand(SYS_exit, 0, 0, 0, 0);
    __builtin_unreachable();
}

static void strangers(void)
{
    char *stacks = memalign(PAGE, STRANGERS * STRANGE_STACK);
    for (int i = 0; i < STRANGERS; i++) {
        unknowns[i] = (struct bare){.block = calloc(PAGES + OTHERS, PAGE), .tid = -1};
        CHECK(pipe(unknowns[i].ends) == 0, "pipe");
        struct bare **top = (struct bare **)(stacks + (i + 1) * STRANGE_STACK - 256);
        *top = &unknowns[i];
        long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID, result;
        register long child_tid __asm__("r10") = (long)&unknowns[i].tid;
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
    for (int i = 0; i < 5; i++)
        page_out(churn), usleep(2000);
    atomic_store(&enough, 1);
    for (int i = 0; i < STRANGERS; i++) {
        while (atomic_load(&unknowns[i].tid) != 0)
            page_out(churn / 2);
        CHECK(unknowns[i].wrong == 0, "%d wrong transfers", unknowns[i].wrong);
        for (size_t at = 0; at < PAGES; at++)
            CHECK(unknowns[i].block[at * PAGE] == (unsigned char)counts[i][at], "page %zu: %d, not %u", at, unknowns[i].block[at * PAGE], counts[i][at]);
        close(unknowns[i].ends[0]), close(unknowns[i].ends[1]);
        free(unknowns[i].block);
    }
    free(stacks);
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

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    size = argument(argc, argv, 2, 2 * MIB);
    strangers();
    heap = must_malloc(size);
    fill(heap, size, 1);
    bare_clone();
    helpers();
    free(heap);
    return 0;
}

/* Question: does the program's own handling of signals go on as if nobody else used SIGSEGV?
 *
 * An access that is not the pager's reaches the program's handler with its address and code, or the
 * default action kills; the program sees the handlers and masks that it set; asynchronous handlers
 * may touch any heap page while others fault.
 *
 * usage: signals [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

static size_t churn, heap_size;
static unsigned char *heap;
static sigjmp_buf out;
static volatile siginfo_t seen;
static volatile int handled;

static void jump_out(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    seen = *info;
    handled++;
    siglongjmp(out, 1);
}

static void plain_jump_out(int number)
{
    handled += number;
    siglongjmp(out, 1);
}

static void open_page(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    handled++;
    char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0)
        _exit(9);
}

static void heap_is_right(const char *when)
{
    page_out(churn);
    verify(heap, heap_size, 1, when);
}

/* Touches `address` and says whether the handler saw exactly that. */
static void expect_fault(volatile char *address, int code, int writing)
{
    handled = 0;
    if (sigsetjmp(out, 1) == 0) {
        if (writing)
            *address = 1;
        else
            (void)*address;
        fail("touching %p did not fault", (void *)address);
    }
    CHECK(handled == 1, "handled %d times", handled);
    CHECK(seen.si_signo == SIGSEGV && seen.si_addr == (void *)address, "si_addr %p, expected %p",
          seen.si_addr, (void *)address);
    CHECK(seen.si_code == code, "si_code %d, expected %d", seen.si_code, code);
}

static void own_handler(void)
{
    char *closed = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *readable = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_sigaction = jump_out, .sa_flags = SA_SIGINFO}, old;
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction");
    for (int i = 0; i < 20; i++) {
        expect_fault(closed + 123 * i, SEGV_ACCERR, i & 1);
        expect_fault(NULL, SEGV_MAPERR, i & 1);
        expect_fault(readable + i, SEGV_ACCERR, 1);
        verify(heap + i * PAGE, PAGE / 2, 1 + i * PAGE, "between faults");
    }
    heap_is_right("under the program's SIGSEGV handler");
    CHECK(sigaction(SIGSEGV, NULL, &old) == 0, "sigaction");
    CHECK(old.sa_sigaction == jump_out && (old.sa_flags & SA_SIGINFO), "sigaction shows another handler");
    said("sigaction: si_addr, si_code, siglongjmp");

    CHECK((void *)signal(SIGSEGV, plain_jump_out) == (void *)jump_out, "signal gives the old handler");
    for (int i = 0; i < 20; i++) {
        handled = 0;
        if (sigsetjmp(out, 1) == 0)
            *(volatile char *)(closed + i) = 1;
        CHECK(handled == SIGSEGV, "signal's handler: %d", handled);
    }
    heap_is_right("under signal's handler");
    said("signal()");

    action.sa_sigaction = open_page;
    sigaction(SIGSEGV, &action, NULL);
    handled = 0;
    for (int i = 0; i < 4; i++)
        closed[i * PAGE + i] = (char)(i + 1);
    CHECK(handled == 4 && closed[2 * PAGE + 2] == 3, "the program's own pager: %d faults", handled);
    heap_is_right("under the program's own pager");
    said("a handler that repairs and returns");
    CHECK((void *)signal(SIGSEGV, SIG_DFL) == (void *)open_page, "signal gives the pager");
}

static void blocked_signals(void)
{
    sigset_t all, now;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0, "sigprocmask");
    heap_is_right("with all signals blocked");
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0, "pthread_sigmask");
    CHECK(sigismember(&now, SIGSEGV) == 1 && sigismember(&now, SIGUSR1) == 1, "the mask that was set is not shown");
    sigemptyset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, &now) == 0 && sigismember(&now, SIGSEGV) == 1, "the old mask");
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGSEGV) == 0, "the new mask");

    signal(SIGSEGV, SIG_IGN);
    heap_is_right("with SIGSEGV ignored");
    CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN, "SIG_IGN is not shown");
    said("blocked and ignored");
}

/* What a child's touch of address 8 does with this disposition and mask. */
static int death_of_child(void (*disposition)(int), int block)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGSEGV);
        signal(SIGSEGV, disposition);
        if (block)
            sigprocmask(SIG_BLOCK, &set, NULL);
        heap[0]++;
        *(volatile char *)8 = 1;
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    return status;
}

static void default_action(void)
{
    for (int i = 0; i < 4; i++) {
        int status = death_of_child(i & 1 ? SIG_IGN : SIG_DFL, i & 2);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "case %d: child's status %x", i, status);
    }
    CHECK(raise(0) == 0, "raise(0)");
    verify(heap, heap_size, 1, "after children died");
    said("the default action kills");
}

static atomic_uint ticks;
static unsigned int *table;
static size_t table_length;

static void on_tick(int number)
{
    (void)number;
    int saved = errno;
    unsigned int tick = ticks++;
    for (int i = 0; i < 4; i++)
        table[mix(tick * 4 + i) % table_length]++;
    errno = saved;
}

static void *churner(void *parameter)
{
    while (ticks < 200)
        page_out((size_t)parameter);
    return NULL;
}

static void asynchronous(void)
{
    table_length = heap_size / 4 / sizeof *table;
    table = calloc(table_length, sizeof *table);
    CHECK(table != NULL, "calloc");
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    pthread_t thread = start(churner, (void *)(churn / 4));
    setitimer(ITIMER_REAL, &timer, NULL);
    while (ticks < 200)
        verify(heap, heap_size, 1, "under SIGALRM");
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_IGN);
    pthread_join(thread, NULL);
    uint64_t total = 0;
    for (size_t i = 0; i < table_length; i++)
        total += table[i];
    CHECK(total == 4u * ticks, "%u ticks, table holds %llu", (unsigned)ticks, (unsigned long long)total);
    free(table);
    said("SIGALRM touching the heap while pages move");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    heap_size = argument(argc, argv, 2, 4 * MIB);
    heap = must_malloc(heap_size);
    fill(heap, heap_size, 1);
    own_handler();
    blocked_signals();
    default_action();
    asynchronous();
    heap_is_right("at the end");
    free(heap);
    return 0;
}

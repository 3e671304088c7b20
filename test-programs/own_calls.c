/* Question: does a program live on that sets actions and masks of signals by system calls of its own, which no
 * library sees, before any of its memory is paged out, and are its actions what it has set?
 *
 * usage: own_calls [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

/* As the kernel has it. */
struct action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static long call(long number, long a, const void *b, void *c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

static size_t churn, size;
static unsigned char *heap;
static sigjmp_buf out;

static void reset_all(void)
{
    struct action none = {SIG_DFL, 0, NULL, 0};
    for (int signal = 1; signal <= 64; signal++)
        if (signal != SIGKILL && signal != SIGSTOP)
            CHECK(call(SYS_rt_sigaction, signal, &none, NULL, 8) == 0, "signal %d", signal);
}

static void block_all(void)
{
    uint64_t all = ~UINT64_C(0);
    CHECK(call(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8) == 0, "rt_sigprocmask");
}

/* Makes children in every way, and one more of their own. */
static void make_children(const char *when)
{
    char *const echo[] = {"sh", "-c", "exit 3", NULL};
    int status;
    pid_t child;
    CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, echo, environ) == 0, "posix_spawn");
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    printf("%s: spawned %#x, system %#x", when, status, system("exit 4"));
    fflush(stdout);
    child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        reset_all();
        verify(heap, size, 1, "a child's heap");
        page_out(churn);
        block_all();
        verify(heap, size, 1, "a child's heap, with everything blocked");
        execv("/bin/sh", echo);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    printf(", executed %#x\n", status);
}

static void on_fault(int signal)
{
    siglongjmp(out, signal);
}

static void crash(const char *when)
{
    int signal = sigsetjmp(out, 1);
    if (signal == 0)
        *(volatile int *)8 = 1;
    printf("%s: signal %d\n", when, signal);
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    size = argument(argc, argv, 2, 2 * MIB);
    heap = must_malloc(size);
    fill(heap, size, 1);
    reset_all();
    make_children("all signals reset");

    /* A handler that libc knows how to return from, put there behind everybody's back. */
    struct sigaction mine = {.sa_handler = on_fault};
    struct action kernels;
    CHECK(sigaction(SIGUSR1, &mine, NULL) == 0, "sigaction");
    CHECK(call(SYS_rt_sigaction, SIGUSR1, NULL, &kernels, 8) == 0, "rt_sigaction");
    kernels = (struct action){on_fault, kernels.flags & 0x04000000, kernels.restorer, 0};
    CHECK(call(SYS_rt_sigaction, SIGSEGV, &kernels, NULL, 8) == 0, "rt_sigaction");
    crash("before anything is paged");
    page_out(churn);
    printf("%016llx\n", (unsigned long long)verify(heap, size, 1, "the heap"));
    crash("after");
    struct sigaction now;
    CHECK(sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_handler == on_fault, "the handler of SIGSEGV");
    CHECK(sigaction(SIGSYS, NULL, &now) == 0 && now.sa_handler == SIG_DFL, "the action of SIGSYS");
    reset_all();
    block_all();
    page_out(churn);
    printf("%016llx\n", (unsigned long long)verify(heap, size, 1, "the heap, with everything blocked"));
    make_children("all signals blocked");
    return 0;
}

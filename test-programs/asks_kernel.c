/* Question: is the kernel's answer the native one for whoever asks it by an instruction of his own, before pages leave
 * memory, while they begin to, and afterwards? And do calls that wait at that moment end as natively?
 *
 * Runtimes such as Go's ask so which alternate stack a thread has, and believe the answer. usage: asks_kernel [bytes to page out]
 */
#include "common.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

static size_t churn;
static volatile int go;
static char stacks[4][32 * KIB];
static __thread char *stack;
static __thread volatile int on_stack;

/* A system call that no function of the C library makes. */
static long raw(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};
__asm__(".text\nraw_return: mov $15, %eax\nsyscall\n");
extern void raw_return(void) __attribute__((visibility("hidden")));

static void handler(int signal)
{
    char here;
    (void)signal;
    on_stack = stack && &here >= stack && &here < stack + sizeof stacks[0];
}

static void fault(int signal)
{
    (void)signal;
    _exit(3);
}

static void asks(const char *when)
{
    stack_t told;
    unsigned long mask = 0;
    struct kernel_action segv, urgent;
    CHECK(raw(SYS_sigaltstack, 0, (long)&told, 0, 0) == 0, "sigaltstack");
    CHECK(raw(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, 8) == 0, "rt_sigprocmask");
    CHECK(raw(SYS_rt_sigaction, SIGSEGV, 0, (long)&segv, 8) == 0, "rt_sigaction");
    CHECK(raw(SYS_rt_sigaction, SIGURG, 0, (long)&urgent, 8) == 0, "rt_sigaction");
    on_stack = -1;
    raw(SYS_tgkill, getpid(), raw(SYS_gettid, 0, 0, 0, 0), SIGURG, 0);
    printf("%s: alternate stack %s, flags %d; handler on it: %d; blocked %lx; SIGSEGV %s, SIGURG %s\n", when,
           told.ss_sp == stack ? "as set" : "another", told.ss_flags, on_stack, mask,
           segv.handler == fault ? "as set" : "another", urgent.handler == handler ? "as set" : "another");
    fflush(stdout);
}

static void sets_stack(int i)
{
    stack_t wanted = {.ss_sp = stack = stacks[i], .ss_size = sizeof stacks[i]};
    CHECK(raw(SYS_sigaltstack, (long)&wanted, 0, 0, 0) == 0, "sigaltstack");
}

/* A thread with an alternate stack, one without, one that blocks all it can. */
static void *early(void *argument)
{
    int kind = (int)(long)argument;
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGURG);
    if (kind == 1)
        sets_stack(1);
    if (kind == 2)
        pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (go < kind)
        usleep(1000);
    asks("early, after");
    page_out(churn);
    asks("early, after its own");
    __atomic_add_fetch(&go, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void *late(void *argument)
{
    sets_stack(3);
    asks("late");
    page_out(churn);
    asks("late, again");
    return argument;
}

static int pipes[2], sockets[2];
enum { LARGE = 1000 * KIB };

static void *writes(void *argument)
{
    char *bytes = must_malloc(LARGE);
    memset(bytes, 'x', LARGE);
    CHECK(write(pipes[1], bytes, LARGE) == LARGE, "a write that waits");
    free(bytes);
    return argument;
}

static void *receives(void *argument)
{
    char *bytes = must_malloc(LARGE);
    CHECK(recv(sockets[0], bytes, 3000, MSG_WAITALL) == 3000, "a recv that waits for all");
    free(bytes);
    return argument;
}

static void *sleeps(void *argument)
{
    struct timespec before, after, pause = {.tv_nsec = 700 * 1000 * 1000}, rest = {0};
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK(nanosleep(&pause, &rest) == 0, "a sleep");
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK(after.tv_sec - before.tv_sec + (after.tv_nsec - before.tv_nsec) / 1e9 >= 0.7, "slept too short");
    return argument;
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    struct kernel_action wanted = {handler, SA_ONSTACK | SA_RESTART | 0x04000000, raw_return, 0};
    CHECK(raw(SYS_rt_sigaction, SIGURG, (long)&wanted, 0, 8) == 0, "rt_sigaction");
    wanted.handler = fault;
    CHECK(raw(SYS_rt_sigaction, SIGSEGV, (long)&wanted, 0, 8) == 0, "rt_sigaction");
    CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "pipes");
    asks("main, no stack");
    sets_stack(0);
    asks("main, before");

    pthread_t asking[3], waiting[3];
    void *(*waits[])(void *) = {writes, receives, sleeps};
    for (long i = 0; i < 3; i++) {
        pthread_create(&asking[i], NULL, early, (void *)(i + 1));
        pthread_create(&waiting[i], NULL, waits[i], NULL);
    }
    CHECK(send(sockets[1], argv[0], 1, 0) == 1, "send");
    usleep(100 * 1000);
    page_out(churn);
    asks("main, after");

    char *bytes = must_malloc(LARGE);
    for (size_t got = 0; got < LARGE;) {
        ssize_t n = read(pipes[0], bytes, LARGE - got);
        CHECK(n > 0, "read");
        got += n;
    }
    CHECK(send(sockets[1], bytes, 2999, 0) == 2999, "send");
    free(bytes);
    for (int i = 0; i < 3; i++)
        pthread_join(waiting[i], NULL);
    said("calls that waited");
    go = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(asking[i], NULL);
    pthread_t last;
    pthread_create(&last, NULL, late, NULL);
    pthread_join(last, NULL);
    asks("main, at the end");
    return 0;
}

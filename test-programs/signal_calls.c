/* Question: does every call about signals answer and do what it would natively, for the signals that
 * this library uses itself as for others: actions, masks, alternate stacks, waits, jumps, registers,
 * stack overflows, and what an executed program inherits?
 *
 * usage: signal_calls [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <immintrin.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
void (*bsd_signal(int, void (*)(int)))(int);

static size_t churn, size;
static unsigned char *heap;
static sigjmp_buf out;
static volatile int count, depth, deepest;
static volatile sigset_t inside;

static void print_set(const char *what, const sigset_t *set)
{
    printf("%s:", what);
    for (int signal = 1; signal < 32; signal++)
        if (sigismember(set, signal))
            printf(" %d", signal);
    printf("\n");
}

static void heap_is_right(const char *when)
{
    page_out(churn);
    verify(heap, size, 1, when);
}

static void note(int signal)
{
    (void)signal;
    count++;
    if (++depth > deepest)
        deepest = depth;
    sigprocmask(SIG_BLOCK, NULL, (sigset_t *)&inside);
    heap[(count * 4099) % size] ^= 1, heap[(count * 4099) % size] ^= 1;
    if (count < 3)
        raise(signal);
    depth--;
}

static void print_action(const char *what, const struct sigaction *action)
{
    printf("%s: handler %d, flags %x,", what,
           action->sa_handler == SIG_DFL ? 0 : action->sa_handler == SIG_IGN ? 1 : 2, (unsigned)action->sa_flags & ~0x04000000u);
    print_set(" mask", &action->sa_mask);
}

/* What is set is shown, what is asked for happens: nesting, masks, resetting. */
static void actions(void)
{
    const int signals[] = {SIGUSR1, SIGSEGV, SIGSYS, SIGRTMIN + 3, SIGBUS, SIGCHLD};
    static const int flags[] = {0, SA_NODEFER, SA_RESETHAND, SA_RESETHAND | SA_NODEFER, SA_RESTART | SA_ONSTACK, SA_NOCLDSTOP | SA_NOCLDWAIT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        for (size_t j = 0; j < sizeof flags / sizeof *flags; j++) {
            struct sigaction action = {.sa_handler = note, .sa_flags = flags[j]}, old, now;
            sigemptyset(&action.sa_mask), sigaddset(&action.sa_mask, SIGHUP), sigaddset(&action.sa_mask, SIGSEGV);
            CHECK(sigaction(signals[i], &action, &old) == 0, "sigaction");
            CHECK(sigaction(signals[i], NULL, &now) == 0, "sigaction");
            print_action("before", &old), print_action("set", &now);
            /* One that is reset dies of the second. */
            count = flags[j] & SA_RESETHAND ? 2 : 0, depth = deepest = 0;
            page_out(churn / 8);
            raise(signals[i]);
            CHECK(sigaction(signals[i], NULL, &now) == 0, "sigaction");
            printf("signal %d, flags %x: %d calls, %d deep,", signals[i], (unsigned)flags[j], count, deepest);
            print_set(" in it", (sigset_t *)&inside), print_action("after", &now);
            action.sa_handler = j % 2 ? SIG_IGN : SIG_DFL;
            sigaction(signals[i], &action, NULL);
        }
        if (signals[i] != SIGCHLD)
            signal(signals[i], SIG_IGN), raise(signals[i]);
        signal(signals[i], SIG_DFL);
    }
    errno = 0;
    struct sigaction none = {.sa_handler = note};
    printf("sigaction of 0: %d, of SIGKILL: %d, of 65: %d, of 32: %d\n", sigaction(0, &none, NULL), sigaction(SIGKILL, &none, NULL),
           sigaction(65, &none, NULL), sigaction(32, &none, NULL));
    fflush(stdout);
}

static void plain(int signal)
{
    count += signal;
}

static void old_calls(void)
{
    printf("signal: %d", signal(SIGUSR1, plain) == SIG_DFL);
    printf(" %d", signal(SIGUSR1, SIG_IGN) == plain);
    printf(" %d", bsd_signal(SIGUSR1, plain) == SIG_IGN);
    printf(" %d", sysv_signal(SIGUSR1, plain) == plain);
    printf(" %d", ssignal(SIGUSR1, plain) == plain);
    count = 0, gsignal(SIGUSR1);
    printf(" %d\n", count);
    sysv_signal(SIGUSR2, plain);
    count = 0, raise(SIGUSR2);
    printf("sysv_signal: %d, then %d\n", count, signal(SIGUSR2, plain) == SIG_DFL);
    printf("sigblock: %x", (unsigned)sigblock(1 << (SIGUSR1 - 1) | 1 << (SIGSEGV - 1)));
    printf(" %x", (unsigned)sigblock(0));
    count = 0, raise(SIGUSR1), raise(SIGUSR2);
    printf(" %d", count);
    printf(" %x", (unsigned)sigsetmask(0));
    printf(" %d %x\n", count, (unsigned)sigblock(0));
    printf("sigset: %d", sigset(SIGUSR1, SIG_HOLD) == plain);
    printf(" %d", sigset(SIGUSR1, plain) == SIG_HOLD);
    printf(" %d", sigignore(SIGUSR2));
    printf(" %d", signal(SIGUSR2, plain) == SIG_IGN);
    count = 0;
    printf(" %d", sighold(SIGUSR2)), raise(SIGUSR2);
    printf(" %d", count);
    printf(" %d", sigrelse(SIGUSR2));
    printf(" %d\n", count);
    sighold(SIGUSR1), raise(SIGUSR1), count = 0;
    printf("sigpause: %d", sigpause(SIGUSR1));
    printf(" %d %d\n", errno == EINTR, count);
    sigrelse(SIGUSR1);
    fflush(stdout);
}

static void *late_writer(void *end)
{
    usleep(100000);
    CHECK(write(*(int *)end, "x", 1) == 1, "write");
    return NULL;
}

static void restarts(void)
{
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe");
    char *byte = must_malloc(1);
    for (int restart = 0; restart < 2; restart++) {
        struct sigaction action = {.sa_handler = plain, .sa_flags = restart ? SA_RESTART : 0};
        sigemptyset(&action.sa_mask);
        sigaction(SIGALRM, &action, NULL);
        struct itimerval once = {{0, 0}, {0, 20000}};
        setitimer(ITIMER_REAL, &once, NULL);
        count = 0;
        sigset_t set, old;   /* the signal is this thread's */
        sigemptyset(&set), sigaddset(&set, SIGALRM);
        pthread_sigmask(SIG_BLOCK, &set, &old);
        pthread_t thread = start(late_writer, &ends[1]);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        page_out(churn / 8);
        ssize_t n = read(ends[0], byte, 1);
        printf("read with%s SA_RESTART: %zd, interrupted %d, handled %d\n", restart ? "" : "out", n, n < 0 && errno == EINTR, count);
        pthread_join(thread, NULL);
        if (n < 0)
            CHECK(read(ends[0], byte, 1) == 1, "read");
        printf("siginterrupt: %d\n", siginterrupt(SIGALRM, restart));
        sigaction(SIGALRM, NULL, &action);
        printf("flags %x\n", (unsigned)action.sa_flags & ~0x04000000u);
    }
    close(ends[0]), close(ends[1]), free(byte);
    fflush(stdout);
}

static void waits(void)
{
    const int signals[] = {SIGUSR1, SIGSEGV, SIGRTMIN + 2};
    for (size_t i = 0; i < 3; i++) {
        int number = signals[i], came = 0;
        sigset_t *set = must_malloc(sizeof *set), *others = must_malloc(sizeof *others), pending;
        siginfo_t *info = must_malloc(sizeof *info);
        sigfillset(others), sigdelset(others, number);
        sigemptyset(set), sigaddset(set, number);
        signal(number, plain);
        sigprocmask(SIG_BLOCK, set, NULL);
        page_out(churn);
        count = 0, raise(number);
        sigpending(&pending);
        printf("signal %d: pending %d, handled %d;", number, sigismember(&pending, number), count);
        page_out(churn);
        printf(" sigsuspend %d %d, handled %d;", sigsuspend(others), errno == EINTR, count / number);
        sigprocmask(SIG_BLOCK, NULL, &pending);
        printf(" still blocked %d;", sigismember(&pending, number));
        count = 0, raise(number);
        struct pollfd nothing = {-1, 0, 0};
        struct timespec second = {1, 0}, soon = {0, 1000};
        int polled = ppoll(&nothing, 1, &second, others);
        printf(" ppoll %d %d, handled %d;", polled, errno == EINTR, count / number);
        raise(number);
        page_out(churn);
        printf(" sigwait %d %d;", sigwait(set, &came), came == number);
        sigqueue(getpid(), number, (union sigval){.sival_int = 4711});
        page_out(churn);
        int waited = sigwaitinfo(set, info);
        printf(" sigwaitinfo %d %d %d;", waited == number, info->si_code, info->si_value.sival_int);
        waited = sigtimedwait(set, info, &soon);
        printf(" sigtimedwait %d %d", waited, errno == EAGAIN);
        sigprocmask(SIG_UNBLOCK, set, NULL);
        printf(" handled %d\n", count / number);
        signal(number, SIG_DFL);
        free(set), free(others), free(info);
    }
    sigset_t *set = must_malloc(sizeof *set);
    sigemptyset(set), sigaddset(set, SIGUSR2), sigaddset(set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, set, NULL);
    page_out(churn);
    int fd = signalfd(-1, set, 0);
    struct signalfd_siginfo *infos = must_malloc(4 * sizeof *infos);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1}), sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 2}), raise(SIGUSR2);
    page_out(churn);
    ssize_t n = read(fd, infos, 4 * sizeof *infos);
    printf("signalfd: %zd,", n / (ssize_t)sizeof *infos);
    for (int i = 0; i < 3; i++)
        printf(" %u/%d", infos[i].ssi_signo, infos[i].ssi_int);
    printf("\n");
    close(fd), sigprocmask(SIG_UNBLOCK, set, NULL), free(set), free(infos);
    fflush(stdout);
}

/* Alternate stacks: as set, as reported, refused while in use. */
static void show_stack(int signal)
{
    stack_t now, other = {.ss_sp = heap, .ss_size = 65536};
    CHECK(sigaltstack(NULL, &now) == 0, "sigaltstack");
    char here;
    int on = (char *)now.ss_sp <= &here && &here < (char *)now.ss_sp + now.ss_size;
    int changed = sigaltstack(&other, NULL);
    printf("in handler %d: flags %x, on it %d, change %d %d\n", signal, (unsigned)now.ss_flags, on, changed, errno == EPERM);
}

static void alternate_stacks(void)
{
    stack_t now, stack = {.ss_sp = memalign(PAGE, 64 * KIB), .ss_size = 64 * KIB};
    sigaltstack(NULL, &now);
    printf("none: flags %x\n", (unsigned)now.ss_flags);
    CHECK(sigaltstack(&stack, NULL) == 0 && sigaltstack(NULL, &now) == 0, "sigaltstack");
    printf("set: flags %x, same %d\n", (unsigned)now.ss_flags, now.ss_sp == stack.ss_sp && now.ss_size == stack.ss_size);
    static const int signals[] = {SIGUSR1, SIGSEGV};
    for (int i = 0; i < 4; i++) {
        struct sigaction action = {.sa_handler = show_stack, .sa_flags = i < 2 ? SA_ONSTACK : 0};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i % 2], &action, NULL);
        page_out(churn);
        raise(signals[i % 2]);
        stack_t again = {.ss_flags = SS_DISABLE};
        sigaltstack(&again, &now);
        printf("afterwards: flags %x\n", (unsigned)now.ss_flags);
        sigaltstack(&stack, NULL);
    }
    stack_t small = {.ss_sp = stack.ss_sp, .ss_size = 100}, strange = {.ss_sp = stack.ss_sp, .ss_size = 65536, .ss_flags = 77};
    printf("too small: %d", sigaltstack(&small, NULL));
    printf(" %d", errno == ENOMEM);
    printf(", strange: %d", sigaltstack(&strange, NULL));
    printf(" %d\n", errno == EINVAL);
    stack.ss_flags = SS_DISABLE, sigaltstack(&stack, NULL), free(stack.ss_sp);
    signal(SIGUSR1, SIG_DFL), signal(SIGSEGV, SIG_DFL);
    fflush(stdout);
}

static void jump(int signal)
{
    (void)signal;
    heap[count++ * 4099 % size] ^= 0;
    siglongjmp(out, 1);
}

/* Jumps out of handlers that interrupt malloc, faults and calls; and registers that survive them. */
static void jumps(void)
{
    struct sigaction action = {.sa_handler = jump};
    sigfillset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGSEGV, &action, NULL);
    count = 0;
    for (volatile int i = 0; i < 2000; i++) {
        if (sigsetjmp(out, 1) == 0) {
            if (i % 2)
                raise(SIGUSR1);
            *(volatile char *)8 = 1;
        }
    }
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("%d jumps, ", count), print_set("blocked", &now);
    signal(SIGSEGV, SIG_DFL), signal(SIGUSR1, SIG_DFL);
    heap_is_right("after jumps");
    fflush(stdout);
}

static void ticker(int signal)
{
    (void)signal;
    count++;
    for (int i = 0; i < 3; i++)
        heap[mix(count * 3 + i) % size] ^= 0;
#ifdef __x86_64__
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::: "xmm0", "xmm7", "xmm15");
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile("vpternlogd $255, %%zmm17, %%zmm17, %%zmm17; vpternlogd $255, %%zmm31, %%zmm31, %%zmm31;"
                         "vpternlogd $255, %%zmm1, %%zmm1, %%zmm1; kxnorw %%k0, %%k0, %%k1" ::: "memory");
#endif
}

/* All vector registers hold what they held, across faults and handlers. */
__attribute__((noinline)) static void registers(void)
{
    if (!__builtin_cpu_supports("avx512f"))
        return;
    unsigned char *stack = must_malloc(128 * KIB);
    stack_t alternate = {.ss_sp = stack, .ss_size = 128 * KIB};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_handler = ticker, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    count = 0;
    uint64_t *pattern = must_malloc(4 * 64), found[4][8];
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 32; i++)
            pattern[i] = mix(round * 32 + i);
        if (round % 10 == 0)
            page_out(churn / 4);
        volatile unsigned char *at = heap, *end = heap + size;
        __asm__ volatile("vmovdqu64 (%2), %%zmm1; vmovdqu64 64(%2), %%zmm17; vmovdqu64 128(%2), %%zmm31; mov $0x5a5a, %%eax; kmovw %%eax, %%k1;"
                         "1: xorb $0, (%0); add $4096, %0; cmp %1, %0; jb 1b;"
                         "vmovdqu64 %%zmm1, (%3); vmovdqu64 %%zmm17, 64(%3); vmovdqu64 %%zmm31, 128(%3); kmovw %%k1, %%eax; mov %%rax, 192(%3)"
                         : "+r"(at) : "r"(end), "r"(pattern), "r"(found) : "rax", "memory", "cc");
        CHECK(memcmp(found, pattern, 192) == 0 && found[3][0] == 0x5a5a, "a vector register changed in round %d", round);
    }
    while (count < 100)
        verify(heap, size, 1, "under a fast timer");
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_IGN);
    alternate.ss_flags = SS_DISABLE, sigaltstack(&alternate, NULL);
    free(stack), free(pattern);
    heap_is_right("after a fast timer");
}

/* Overflows: of the thread's stack into the guard, seen on the alternate stack; and without one, death. */
__attribute__((noinline)) static int overflow(int n)
{
    volatile char here[512];
    here[0] = (char)n;
    return n < 0 ? here[0] : overflow(n + 1) + here[0];
}

static void on_overflow(int signal, siginfo_t *info, void *context)
{
    ucontext_t *where = context;
    uintptr_t distance = (uintptr_t)where->uc_mcontext.gregs[REG_RSP] - (uintptr_t)info->si_addr + 65536;
    count = signal + (distance < 2 * 65536);
    siglongjmp(out, 1);
}

static void *small_stack(void *parameter)
{
    stack_t stack = {.ss_sp = must_malloc(64 * KIB), .ss_size = 64 * KIB};
    sigaltstack(&stack, NULL);
    page_out(churn / 8);
    for (volatile int i = 0; i < 5; i++) {
        count = 0;
        if (sigsetjmp(out, 1) == 0)
            overflow(0);
        CHECK(count == SIGSEGV + 1, "an overflow gave %d", count);
    }
    if (parameter != NULL) {
        signal(SIGSEGV, SIG_DFL);
        overflow(0);
    }
    stack.ss_flags = SS_DISABLE, sigaltstack(&stack, NULL), free(stack.ss_sp);
    return NULL;
}

static void overflows(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * KIB);
    fflush(stdout);
    for (int dies = 0; dies < 2; dies++) {
        pid_t child = fork();
        if (child == 0) {
            struct sigaction action = {.sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
            sigemptyset(&action.sa_mask);
            sigaction(SIGSEGV, &action, NULL);
            pthread_t thread;
            CHECK(pthread_create(&thread, &attributes, small_stack, dies ? heap : NULL) == 0, "pthread_create");
            pthread_join(thread, NULL);
            _exit(4);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child, "waitpid");
        printf("overflow: status %x\n", status & 0xff7f);
    }
    fflush(stdout);
}

/* What the executed program finds blocked and ignored. */
static int report(void)
{
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    print_set("inherited", &set);
    static const int signals[] = {SIGSEGV, SIGSYS, SIGUSR1, SIGUSR2, SIGINT};
    for (size_t i = 0; i < 5; i++) {
        struct sigaction action;
        sigaction(signals[i], NULL, &action);
        print_action("inherited", &action);
    }
    return 0;
}

static void executes(const char *self)
{
    fflush(stdout);
    for (int variant = 0; variant < 4; variant++) {
        pid_t child = variant % 2 ? vfork() : fork();
        if (child == 0) {
            sigset_t set;
            sigemptyset(&set), sigaddset(&set, SIGSEGV), sigaddset(&set, SIGUSR2);
            sigprocmask(SIG_BLOCK, &set, NULL);
            if (variant < 2)
                signal(SIGINT, SIG_IGN);
            if (variant == 2)
                signal(SIGSEGV, SIG_IGN), page_out(churn);
            execl("/nonexistent", "x", (char *)NULL);
            char *arguments[] = {(char *)self, "report", NULL};
            if (variant == 1)
                execl(self, self, "report", "2", "3", "4", "5", "6", "7", (char *)NULL);
            if (variant == 3)
                execle(self, self, "report", "2", "3", "4", "5", "6", (char *)NULL, environ);
            execv(self, arguments);
            _exit(1);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "status %x", status);
    }
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    print_set("own mask at the end", &set);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "report") == 0)
        return report();
    churn = argument(argc, argv, 1, 12 * MIB);
    size = argument(argc, argv, 2, 2 * MIB);
    heap = must_malloc(size);
    fill(heap, size, 1);
    page_out(churn);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    actions();
    old_calls();
    restarts();
    waits();
    alternate_stacks();
    jumps();
    registers();
    overflows();
    executes(argv[0]);
    heap_is_right("at the end");
    free(heap);
    said("signal calls");
    return 0;
}

/* Question: does every call about actions and masks of signals answer and do what it would natively, for
 * the signals that this library uses itself as for others: actions, masks, waits, and what an executed
 * program inherits?
 *
 * usage: signal_calls [bytes to page out] [bytes of heap in use]
 */
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
void (*bsd_signal(int, void (*)(int)))(int);

static size_t churn, size;
static unsigned char *heap;
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

static struct {
    pthread_t thread;
    pid_t id;
    int ends[2];
} reader;

/* The call that the reader waits in, as the kernel says it: "0 0x3 ..." is read of descriptor 3. */
static int is_reading(void)
{
    char path[64], text[64] = "", expected[32];
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)reader.id);
    snprintf(expected, sizeof expected, "0 0x%x ", (unsigned)reader.ends[0]);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0 && read(file, text, sizeof text - 1) >= 0, "%s", path);
    close(file);
    return strncmp(text, expected, strlen(expected)) == 0;
}

/* Interrupts the reader in its read, and lets it read afterwards. */
static void *late_writer(void *nothing)
{
    while (!is_reading())
        usleep(1000);
    pthread_kill(reader.thread, SIGALRM);
    while (count == 0)
        usleep(1000);
    CHECK(write(reader.ends[1], "x", 1) == 1, "write");
    return nothing;
}

static void restarts(void)
{
    int *ends = reader.ends;
    CHECK(pipe(ends) == 0, "pipe");
    reader.thread = pthread_self(), reader.id = gettid();
    char *byte = must_malloc(1);
    for (int restart = 0; restart < 2; restart++) {
        struct sigaction action = {.sa_handler = plain, .sa_flags = restart ? SA_RESTART : 0};
        sigemptyset(&action.sa_mask);
        sigaction(SIGALRM, &action, NULL);
        count = 0;
        pthread_t thread = start(late_writer, NULL);
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

/* A mask that cannot be read is an error of the call. */
static void wrong_masks(void)
{
    sigset_t *wrong = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct timespec soon = { 0, 1000 };
    struct epoll_event event;
    int epoll = epoll_create1(0);
    CHECK(ppoll(NULL, 0, &soon, wrong) == -1 && errno == EFAULT, "ppoll");
    CHECK(pselect(0, NULL, NULL, NULL, &soon, wrong) == -1 && errno == EFAULT, "pselect");
    CHECK(epoll_pwait(epoll, &event, 1, 0, wrong) == -1 && errno == EFAULT, "epoll_pwait");
    CHECK(sigsuspend(wrong) == -1 && errno == EFAULT, "sigsuspend");
    CHECK(sigpending((sigset_t *)wrong) == -1 && errno == EFAULT, "sigpending");
    CHECK(sigprocmask(SIG_BLOCK, NULL, (sigset_t *)wrong) == -1 && errno == EFAULT, "sigprocmask");
    CHECK(sigaltstack(NULL, (stack_t *)wrong) == -1 && errno == EFAULT, "sigaltstack, the old one");
    CHECK(sigaltstack((stack_t *)wrong, NULL) == -1 && errno == EFAULT, "sigaltstack, the new one");
    close(epoll);
    munmap(wrong, PAGE);
    said("masks that cannot be read");
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
    actions();
    old_calls();
    restarts();
    waits();
    executes(argv[0]);
    heap_is_right("at the end");
    free(heap);
    said("signal calls");
    wrong_masks();
    return 0;
}

/* Question: does a program that dies of a signal die of it, with its core and its actions as they were
 * natively, also in a thread, while others run, and while most of its memory is paged out?
 *
 * usage: deaths [bytes to page out]
 */
#include "common.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

enum way { RAISED, SENT, IN_THREAD, AGAIN, EXECUTED, BLOCKED, WAYS };
static const char *const names[] = {"raised", "sent", "in a thread", "default again", "executed", "blocked first"};

static size_t churn;
static const char *self;

static void *busy(void *nothing)
{
    for (;;)
        free(must_malloc(1000));
    return nothing;
}

static void *raises(void *signal)
{
    raise(*(int *)signal);
    return NULL;
}

static void ignore(int signal)
{
    (void)signal;
}

/* What the child does that is to die of the signal. */
static void die_of(int number, enum way way)
{
    struct sigaction now;
    CHECK(sigaction(number, NULL, &now) == 0, "sigaction");
    CHECK(now.sa_handler == SIG_DFL && now.sa_flags == 0, "signal %d is not as it was", number);
    page_out(churn);
    start(busy, NULL);
    switch (way) {
    case SENT:
        kill(getpid(), number);
        for (;;)
            pause();
    case IN_THREAD:
        pthread_join(start(raises, &number), NULL);
        break;
    case AGAIN:
        CHECK(signal(number, ignore) == SIG_DFL, "the first action");
        raise(number);
        CHECK(signal(number, SIG_DFL) == ignore, "the second action");
        raise(number);
        break;
    case EXECUTED: {
        char text[16];
        snprintf(text, sizeof text, "%d", number);
        execl(self, self, "die", text, (char *)NULL);
        break;
    }
    case BLOCKED: {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, number);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(number);
        page_out(churn);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        break;
    }
    default:
        raise(number);
    }
    fail("survived signal %d, %s", number, names[way]);
}

int main(int argc, char **argv)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGUSR1,
                                  SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGVTALRM, SIGPROF, SIGSEGV, SIGKILL};
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    if (argc == 3 && strcmp(argv[1], "die") == 0) {
        raise(atoi(argv[2]));
        fail("survived signal %s", argv[2]);
    }
    self = argv[0];
    churn = argument(argc, argv, 1, 12 * MIB);
    size_t size = churn / 4;
    unsigned char *heap = must_malloc(size);
    fill(heap, size, 1);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        for (enum way way = RAISED; way < WAYS; way++) {
            if (signals[i] == SIGKILL && (way == AGAIN || way == BLOCKED))
                continue;
            int status;
            fflush(stdout);
            pid_t child = fork();
            CHECK(child >= 0, "fork");
            if (child == 0)
                die_of(signals[i], way);
            CHECK(waitpid(child, &status, 0) == child, "waitpid");
            printf("signal %d, %s: status %#x\n", signals[i], names[way], status);
        }

    /* Ways of dying that nobody asked for. */
    static const char *const ends[] = {"pipe", "alarm", "interval", "division", "abort"};
    for (int i = 0; i < 5; i++) {
        int status, ends_of_pipe[2];
        fflush(stdout);
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (child == 0) {
            struct itimerval soon = {{0, 0}, {0, 20000}};
            volatile int zero = 0;
            page_out(churn);
            CHECK(pipe(ends_of_pipe) == 0, "pipe");
            close(ends_of_pipe[0]);
            if (i == 0 && write(ends_of_pipe[1], heap, 100) < 0)
                fail("survived SIGPIPE");
            if (i == 1)
                setitimer(ITIMER_REAL, &soon, NULL), busy(NULL);
            if (i == 2)
                setitimer(ITIMER_PROF, &soon, NULL), busy(NULL);
            if (i == 3)
                printf("%d\n", 7 / zero);
            abort();
        }
        CHECK(waitpid(child, &status, 0) == child, "waitpid");
        printf("%s: status %#x\n", ends[i], status);
    }
    printf("%016llx\n", (unsigned long long)verify(heap, size, 1, "the parent's heap"));
    return 0;
}

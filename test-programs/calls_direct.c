/* Question: do the calls that programs make most (read, write, recv, send, poll, epoll_wait and their
 * relatives) keep their promises while buffers are paged: cancellation, EINTR and SA_RESTART, errno,
 * jumps out of handlers, wrong pointers, several threads that wait at once?
 *
 * usage: calls_direct [bytes to page out] [rounds]
 */
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

static size_t churn;
static int rounds;
static int pipes[2], sockets[2];

/* Each way to wait, with its buffer in the heap. */
enum { READ, READV, RECV, RECVFROM, RECVMSG, POLL, EPOLL_WAIT, WAYS };
static const char *const names[] = { "read", "readv", "recv", "recvfrom", "recvmsg", "poll", "epoll_wait" };

struct waiting {
    int way, epoll;
    volatile int cleaned, began;
    unsigned char *buffer;
};

static ssize_t wait_for(struct waiting *waiting)
{
    unsigned char *buffer = waiting->buffer;
    struct iovec part[2] = { { buffer, 100 }, { buffer + 5000, 100 } };
    struct msghdr message = { .msg_iov = part, .msg_iovlen = 2 };
    struct pollfd *polls = (struct pollfd *)(void *)buffer;
    switch (waiting->way) {
    case READ: return read(pipes[0], buffer, 100);
    case READV: return readv(pipes[0], part, 2);
    case RECV: return recv(sockets[0], buffer, 100, 0);
    case RECVFROM: return recvfrom(sockets[0], buffer, 100, 0, NULL, NULL);
    case RECVMSG: return recvmsg(sockets[0], &message, 0);
    case POLL: *polls = (struct pollfd){ pipes[0], POLLIN, 0 }; return poll(polls, 1, 20000);
    default: return epoll_wait(waiting->epoll, (void *)buffer, 10, 20000);
    }
}

static void prepare(struct waiting *waiting, int way)
{
    memset(waiting, 0, sizeof *waiting);
    waiting->way = way;
    waiting->buffer = must_malloc(16 * KIB);
    waiting->epoll = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN };
    CHECK(epoll_ctl(waiting->epoll, EPOLL_CTL_ADD, pipes[0], &event) == 0, "epoll_ctl");
}

static void clean(void *argument)
{
    struct waiting *waiting = argument;
    /* Calls and memory still work here. */
    char byte = 0;
    int file[2];
    CHECK(pipe(file) == 0 && write(file[1], waiting->buffer, 100) == 100 && read(file[0], &byte, 1) == 1, "calls");
    close(file[0]), close(file[1]);
    free(waiting->buffer);
    close(waiting->epoll);
    waiting->cleaned = 1;
}

static void *cancelled(void *argument)
{
    struct waiting *waiting = argument;
    pthread_cleanup_push(clean, waiting);
    waiting->began = 1;
    for (;;)
        wait_for(waiting);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *cancelled_at_any_time(void *argument)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    return cancelled(argument);
}

static void *not_cancelled(void *argument)
{
    struct waiting *waiting = argument;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    waiting->began = 1;
    CHECK(wait_for(waiting) == 1, "%s", names[waiting->way]);
    clean(waiting);
    waiting->cleaned = 2;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    return NULL;
}

static void cancellation(int way)
{
    void *(*const routines[])(void *) = { cancelled, cancelled_at_any_time, not_cancelled };
    for (int i = 0; i < rounds; i++) {
        struct waiting *waiting = must_malloc(sizeof *waiting);
        prepare(waiting, way);
        pthread_t thread = start(routines[i % 3], waiting);
        while (!waiting->began)
            sched_yield();
        /* Some are cancelled before they wait, some while they wait. */
        if (i % 2)
            usleep(500);
        if (i % 16 == 0)
            page_out(churn);
        CHECK(pthread_cancel(thread) == 0, "pthread_cancel");
        if (i % 3 == 2)
            CHECK(write(way == READ || way == READV || way >= POLL ? pipes[1] : sockets[1], "x", 1) == 1, "write");
        void *result;
        CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED, "not cancelled in %s", names[way]);
        CHECK(waiting->cleaned == (i % 3 == 2 ? 2 : 1), "clean-up");
        if (i % 3 == 2 && way >= POLL) {
            char byte;
            CHECK(read(pipes[0], &byte, 1) == 1, "read");
        }
        free(waiting);
    }
    page_out(churn);
}

static volatile sig_atomic_t alarms, jumps;
static sigjmp_buf out;
static unsigned char *scratch;

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
    /* Calls of the handler's own, on top of the one that it interrupted. */
    int file[2];
    int before = errno;
    if (pipe(file) != 0)
        fail("pipe in a handler: %s", strerror(errno));
    ssize_t sent = write(file[1], scratch, 50), got = sent == 50 ? read(file[0], scratch + 9000, 50) : 0;
    if (sent != 50 || got != 50)
        fail("a handler's write gave %zd, read %zd: %s", sent, got, strerror(errno));
    errno = before;
    close(file[0]), close(file[1]);
    if (jumps)
        siglongjmp(out, 1);
}

static void set_alarm(long microseconds, long interval)
{
    struct itimerval time = { .it_value = { 0, microseconds }, .it_interval = { 0, interval } };
    setitimer(ITIMER_REAL, &time, NULL);
}

static void interruption(int way)
{
    struct waiting waiting;
    struct sigaction action = { .sa_handler = on_alarm };
    sigaction(SIGALRM, &action, NULL);
    for (int i = 0; i < rounds / 8; i++) {
        prepare(&waiting, way);
        if (i % 2)
            page_out(churn);
        /* Again and again: the first may come before the call does. */
        set_alarm(3000, 3000);
        CHECK(wait_for(&waiting) == -1 && errno == EINTR, "%s is not interrupted", names[way]);
        set_alarm(0, 0);
        clean(&waiting);
    }
    /* A handler leaves by a jump, and what the call had pinned must not stay behind. */
    jumps = 1;
    for (volatile int i = 0; i < rounds; i++) {
        prepare(&waiting, way);
        if (i % 16 == 0)
            page_out(churn);
        if (sigsetjmp(out, 1) == 0) {
            set_alarm(200, 0);
            for (;;)
                wait_for(&waiting);
        }
        clean(&waiting);
    }
    jumps = 0;
    page_out(churn);
}

static void *writer(void *argument)
{
    usleep(20000);
    CHECK(write(*(int *)argument, "0123456789", 10) == 10, "write");
    return NULL;
}

static void restarts(void)
{
    struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &action, NULL);
    for (int way = READ; way <= RECVMSG; way++) {
        struct waiting waiting;
        prepare(&waiting, way);
        page_out(churn);
        int before = alarms;
        pthread_t thread = start(writer, way <= READV ? &pipes[1] : &sockets[1]);
        set_alarm(2000, 2000);
        errno = 1234;
        CHECK(wait_for(&waiting) == 10 && errno == 1234, "%s is not restarted", names[way]);
        set_alarm(0, 0);
        CHECK(alarms > before, "no signal came");
        CHECK(memcmp(waiting.buffer, "0123456789", 10) == 0, "%s: wrong bytes", names[way]);
        pthread_join(thread, NULL);
        clean(&waiting);
    }
    said("SA_RESTART");
}

static void errors(void)
{
    void *volatile somewhere = (void *)8;
    void *wrong = somewhere;
    struct iovec part = { wrong, 10 };
    struct msghdr message = { .msg_iov = wrong, .msg_iovlen = 1 };
    CHECK(write(pipes[1], "0123456789", 10) == 10, "write");
    CHECK(read(pipes[0], wrong, 10) == -1 && errno == EFAULT, "read to a wrong address");
    CHECK(write(pipes[1], wrong, 10) == -1 && errno == EFAULT, "write from a wrong address");
    CHECK(readv(pipes[0], &part, 1) == -1 && errno == EFAULT, "readv to a wrong address");
    CHECK(readv(pipes[0], wrong, 1) == -1 && errno == EFAULT, "readv with a wrong vector");
    CHECK(sendmsg(sockets[0], wrong, 0) == -1 && errno == EFAULT, "sendmsg of nothing");
    CHECK(sendmsg(sockets[0], &message, 0) == -1 && errno == EFAULT, "sendmsg of a wrong vector");
    CHECK(poll(wrong, 1, 0) == -1 && errno == EFAULT, "poll");
    CHECK(read(-1, scratch, 10) == -1 && errno == EBADF, "read of nothing");
    CHECK(recv(pipes[0], scratch, 10, 0) == -1 && errno == ENOTSOCK, "recv of a pipe");
    CHECK(lseek(pipes[0], 0, SEEK_SET) == -1 && errno == ESPIPE, "lseek");
    CHECK(read(pipes[0], scratch, 4096) == 10, "what is left");
    said("errors");
}

/* Many threads wait with large buffers, and the others go on. */
static void *long_wait(void *argument)
{
    unsigned char *buffer = must_malloc(60 * KIB);
    int *file = argument;
    CHECK(read(file[0], buffer, 60 * KIB) == 1, "read");
    free(buffer);
    return NULL;
}

static void many_wait(void)
{
    enum { THREADS = 64 };
    pthread_t threads[THREADS];
    int files[THREADS][2];
    for (int i = 0; i < THREADS; i++) {
        CHECK(pipe(files[i]) == 0, "pipe");
        threads[i] = start(long_wait, files[i]);
    }
    for (int i = 0; i < 4; i++)
        page_out(churn);
    for (int i = 0; i < THREADS; i++)
        CHECK(write(files[i][1], "x", 1) == 1, "write");
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        close(files[i][0]), close(files[i][1]);
    }
    said("many that wait");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    rounds = (int)argument(argc, argv, 2, 60);
    CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) == 0, "descriptors");
    scratch = must_malloc(16 * KIB);
    /* The first round begins before anything is paged. */
    for (int way = 0; way < WAYS; way++) {
        interruption(way);
        cancellation(way);
        said(names[way]);
    }
    restarts();
    errors();
    many_wait();
    return 0;
}

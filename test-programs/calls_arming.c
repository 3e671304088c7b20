/* Question: does every call go well that is under way, or about to be made, at the moment when pages
 * begin to be absent?
 *
 * Threads make calls of many kinds while the first pages leave memory. Each run has one such moment, so
 * it is made in a child, again and again. usage: calls_arming [bytes to page out] [children]
 */
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static size_t churn;
static volatile int stop;
static int pipes[2], sockets[2];

static void *reads(void *argument)
{
    int zero = open("/dev/zero", O_RDONLY);
    unsigned char *buffer = must_malloc(64 * KIB);
    while (!stop) {
        memset(buffer, 1, 20000);
        CHECK(read(zero, buffer, 20000) == 20000, "read");
        verify_zero(buffer, 20000, "read");
        CHECK(syscall(SYS_pread64, zero, buffer + 30000, 3000, 0) == 3000, "pread");
    }
    return argument;
}

static void *waits(void *argument)
{
    unsigned char *buffer = must_malloc(64 * KIB);
    for (;;) {
        ssize_t got = recv(sockets[0], buffer, 64 * KIB, 0);
        CHECK(got > 0, "recv gave %zd", got);
        if (got == 1)
            return argument;
        verify(buffer, got, 5, "recv");
        CHECK(syscall(SYS_read, pipes[0], buffer + 100, 1) == 1, "read of a pipe");
    }
}

static void *sends(void *argument)
{
    unsigned char *buffer = must_malloc(32 * KIB);
    fill(buffer, 32 * KIB, 5);
    for (int i = 0; !stop; i++) {
        CHECK(send(sockets[1], buffer, 100 + i % 30000, 0) == 100 + i % 30000, "send");
        CHECK(write(pipes[1], buffer, 1) == 1, "write");
        if (i % 8 == 0)
            usleep(100);
    }
    CHECK(send(sockets[1], buffer, 1, 0) == 1, "send");
    return argument;
}

static void *looks(void *argument)
{
    struct stat *status = must_malloc(sizeof *status);
    char *path = strdup("/dev/null");
    struct pollfd *polls = must_malloc(sizeof *polls);
    struct timespec *time = must_malloc(sizeof *time);
    int none[2];
    CHECK(pipe(none) == 0, "pipe");
    while (!stop) {
        CHECK(stat(path, status) == 0 && S_ISCHR(status->st_mode), "stat");
        *polls = (struct pollfd){ none[0], POLLIN, 0 };
        CHECK(poll(polls, 1, 1) == 0, "poll");
        *time = (struct timespec){ 0, 200000 };
        CHECK(nanosleep(time, NULL) == 0, "nanosleep");
        FILE *file = fopen("/proc/self/stat", "r");
        CHECK(file != NULL && fgetc(file) != EOF, "fgetc");
        fclose(file);
    }
    return argument;
}

static void one(int i)
{
    void *(*const routines[])(void *) = { reads, waits, sends, looks, looks };
    enum { THREADS = sizeof routines / sizeof *routines };
    pthread_t threads[THREADS];
    CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0, "descriptors");
    for (int t = 0; t < THREADS; t++)
        threads[t] = start(routines[t], NULL);
    usleep(1000 * (i % 7));
    for (int round = 0; round < 3; round++)
        page_out(churn);
    stop = 1;
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    int children = (int)argument(argc, argv, 2, 20);
    for (int i = 0; i < children; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (child == 0) {
            one(i);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "child %d: status %x", i, status);
    }
    said("calls at the moment of arming");
    return 0;
}

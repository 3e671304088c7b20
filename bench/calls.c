/* What a system call costs: read, write, send and recv, poll, epoll_wait with buffers in the heap, and one call that no
 * function of the library stands for. usage: calls [bytes to page out first [dispatch]]
 *
 * With "dispatch", the program asks for Syscall User Dispatch itself and lets every call pass: what the kernel alone takes for it.
 *
 * Prints name=ns pairs, each the least of many short batches: what others do to the machine only adds. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif
enum { BATCHES = 60, CALLS = 3000 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

#define MEASURE(name, call)                                                                                            \
    do {                                                                                                               \
        double least = 1e18;                                                                                           \
        for (int batch = 0; batch < BATCHES; batch++) {                                                                \
            double start = now();                                                                                      \
            for (int i = 0; i < CALLS; i++)                                                                            \
                if ((call) < 0)                                                                                        \
                    return 1;                                                                                          \
            double took = (now() - start) / CALLS;                                                                     \
            least = took < least ? took : least;                                                                       \
        }                                                                                                              \
        printf("%s=%.0f\n", name, least);                                                                              \
    } while (0)

int main(int argc, char **argv)
{
    char *buffer = malloc(65536);
    memset(buffer, 1, 65536);
    size_t bytes = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
    char *pressure = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i += 4096)
        pressure[i] = 1;
    free(pressure);

    static char selector; /* 0: calls pass */
    if (argc > 2 && prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) != 0)
        return 1;
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY), epoll = epoll_create1(0), pair[2];
    if (zero < 0 || null < 0 || epoll < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return 1;
    struct pollfd *polls = malloc(sizeof *polls);
    *polls = (struct pollfd){ zero, POLLIN, 0 };
    struct epoll_event *events = malloc(64 * sizeof *events);
    MEASURE("read_64", read(zero, buffer, 64));
    MEASURE("read_4096", read(zero, buffer + 100, 4096));
    MEASURE("pread_4096", pread(zero, buffer + 100, 4096, 0));
    MEASURE("write_64", write(null, buffer, 64));
    MEASURE("send_recv_64", send(pair[0], buffer, 64, 0) + recv(pair[1], buffer + 8192, 64, 0));
    MEASURE("poll", poll(polls, 1, 0));
    MEASURE("epoll_wait", epoll_wait(epoll, events, 64, 0));
    MEASURE("other", syscall(SYS_getppid));
    return 0;
}

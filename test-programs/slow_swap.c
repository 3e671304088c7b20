/* What if the swap device is slow? slow_swap COMMAND… runs a command, and one in eight preads and
 * pwrites on the swap files of its processes takes up to 2 ms longer, so that pages stay in transit.
 *
 * A seccomp filter has the kernel ask a supervisor about these calls, who naps before it says "go on".
 * The swap file is known by its number: descriptors of the library are 500 and above. */
#include "common.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { LOWEST = 500, NAPPERS = 8, ONE_IN = 8, LONGEST_NS = 2000000 };

static void *supervise(void *argument)
{
    int listener = *(int *)argument;
    uint64_t random = (uint64_t)time(NULL) ^ (uintptr_t)&random;
    for (;;) {
        struct pollfd poll_fd = {.fd = listener, .events = POLLIN};
        if (poll(&poll_fd, 1, -1) < 0)
            continue;
        /* Everybody under the filter has ended. */
        if (poll_fd.revents & (POLLHUP | POLLERR))
            _exit(0);
        struct seccomp_notif call = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
            continue;
        struct timespec nap = {.tv_nsec = (long)between(&random, 0, LONGEST_NS)};
        if (between(&random, 1, ONE_IN) == 1)
            nanosleep(&nap, NULL);
        struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
}

/* A grandchild, so that the program meets no child that it did not make. */
static void start_supervisor(int from)
{
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child > 0) {
        waitpid(child, NULL, 0);
        return;
    }
    if (fork() != 0)
        _exit(0);
    setsid();
    char byte;
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control;
    struct iovec buffer = {&byte, 1};
    struct msghdr message = {.msg_iov = &buffer, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (recvmsg(from, &message, 0) != 1)
        _exit(1);
    static int listener;
    memcpy(&listener, CMSG_DATA(&control.header), sizeof listener);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    close(from);
    for (int i = 1; i < NAPPERS; i++)
        start(supervise, &listener);
    supervise(&listener);
}

static int install_filter(void)
{
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
    struct sock_filter code[] = {
        FIELD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwrite64, 0, 3),
        FIELD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, LOWEST, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    CHECK(listener >= 0, "seccomp: this kernel has no user notification");
    return listener;
}

int main(int argc, char **argv)
{
    CHECK(argc > 1, "no command given");
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    start_supervisor(ends[1]);
    int listener = install_filter();
    char byte = 0;
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control = {
        .header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &listener, sizeof listener);
    struct iovec buffer = {&byte, 1};
    struct msghdr message = {.msg_iov = &buffer, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK(sendmsg(ends[0], &message, 0) == 1, "sendmsg");
    close(listener);
    execvp(argv[1], argv + 1);
    fail("%s: %s", argv[1], strerror(errno));
}

/* Question: do the system calls work that point further than their arguments (lists of messages and of
 * strings too long for the arena, requests that go on after the call, filters, robust mutexes), or keep
 * memory for as long as they like?
 *
 * Before each call everything is sent out of memory. usage: calls_rare [bytes to page out]
 */
#include "common.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static size_t churn;

/* Many messages at once, together larger than what may be pinned. */
static void many_messages(unsigned count, size_t size)
{
    int sockets[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) == 0, "socketpair");
    int room = 8 * MIB;
    setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    struct mmsghdr *sent = calloc(count, sizeof *sent), *got = calloc(count, sizeof *got);
    struct iovec *from = calloc(count, sizeof *from), *to = calloc(count, sizeof *to);
    for (unsigned i = 0; i < count; i++) {
        from[i] = (struct iovec){ must_malloc(size), size };
        to[i] = (struct iovec){ must_malloc(size), size };
        fill(from[i].iov_base, size, i);
        memset(to[i].iov_base, 0xee, size);
        sent[i].msg_hdr = (struct msghdr){ .msg_iov = &from[i], .msg_iovlen = 1 };
        got[i].msg_hdr = (struct msghdr){ .msg_iov = &to[i], .msg_iovlen = 1 };
    }
    /* The queue takes ten messages or so, so send and receive by turns. */
    for (unsigned next = 0; next < count;) {
        page_out(churn);
        unsigned n = count - next < 8 ? count - next : 8, out = 0, in = 0;
        while (out < n) {
            int result = sendmmsg(sockets[0], sent + next + out, n - out, 0);
            CHECK(result > 0, "sendmmsg gave %d", result);
            out += result;
        }
        page_out(churn);
        while (in < n) {
            int result = recvmmsg(sockets[1], got + next + in, n - in, 0, NULL);
            CHECK(result > 0, "recvmmsg gave %d", result);
            in += result;
        }
        next += n;
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK(sent[i].msg_len == size && got[i].msg_len == size, "lengths %u and %u", sent[i].msg_len, got[i].msg_len);
        verify(to[i].iov_base, size, i, "recvmmsg");
        free(from[i].iov_base), free(to[i].iov_base);
    }
    free(sent), free(got), free(from), free(to);
    close(sockets[0]), close(sockets[1]);
}

struct drain { int socket; char *to; size_t size; };

static void *drains(void *argument)
{
    struct drain *drain = argument;
    for (size_t done = 0; done < drain->size;) {
        ssize_t n = read(drain->socket, drain->to + done, drain->size - done);
        CHECK(n > 0, "read gave %zd after %zu bytes", n, done);
        done += n;
    }
    return NULL;
}

/* One message among many that is larger than what may be pinned. */
static void one_large_message(size_t size)
{
    int sockets[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "socketpair");
    struct iovec from = { must_malloc(size), size };
    struct mmsghdr sent = { .msg_hdr = { .msg_iov = &from, .msg_iovlen = 1 } };
    fill(from.iov_base, size, 5);
    page_out(churn);
    struct drain drain = { sockets[1], must_malloc(size), size };
    pthread_t reader = start(drains, &drain);
    int result = sendmmsg(sockets[0], &sent, 1, 0);
    CHECK(result == 1 && sent.msg_len == size, "sendmmsg gave %d, length %u", result, sent.msg_len);
    pthread_join(reader, NULL);
    verify(drain.to, size, 5, "sendmmsg");
    free(from.iov_base), free(drain.to);
    close(sockets[0]), close(sockets[1]);
}

/* Arguments and environment for a program, larger than what may be pinned. */
static void long_vectors(void)
{
    enum { COUNT = 1000, LENGTH = 700 };
    char **arguments = must_malloc((COUNT + 4) * sizeof *arguments), **environment = must_malloc((COUNT + 1) * sizeof *environment);
    int n = 0;
    arguments[n++] = strdup("sh"), arguments[n++] = strdup("-c");
    arguments[n++] = strdup("echo $# ${#1} ${#2} \"${V999}\" | cut -c 1-40");
    for (int i = 0; i < COUNT; i++) {
        arguments[n + i] = must_malloc(LENGTH);
        memset(arguments[n + i], 'a' + i % 26, LENGTH - 1);
        arguments[n + i][LENGTH - 1 - i % 2] = arguments[n + i][LENGTH - 1] = '\0';
        environment[i] = must_malloc(LENGTH);
        snprintf(environment[i], LENGTH, "V%d=value %d %0*d", i, i, LENGTH / 2, i);
    }
    arguments[n + COUNT] = environment[COUNT] = NULL;
    char *shell = strdup("/bin/sh");
    page_out(churn);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        page_out(churn);
        execve(shell, arguments, environment);
        fail("execve: %s", strerror(errno));
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "status %x", status);
    errno = 0;
    CHECK(execve("/nowhere", arguments, environment) == -1 && errno == ENOENT, "execve of nothing");
    for (int i = 0; i < n + COUNT; i++)
        free(arguments[i]);
    for (int i = 0; i < COUNT; i++)
        free(environment[i]);
    free(arguments), free(environment), free(shell);
    said("execve with long vectors");
}

/* Requests that the kernel works on: their buffers, again and again. */
static void requests(void)
{
    enum { COUNT = 8, SIZE = 16 * KIB, ROUNDS = 200 };
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, COUNT, &context) != 0) {
        said("io_submit");
        return;
    }
    FILE *file = tmpfile();
    struct iocb *blocks = calloc(COUNT, sizeof *blocks), **list = calloc(COUNT, sizeof *list);
    struct io_event *events = calloc(COUNT, sizeof *events);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned char *buffers[COUNT];
        int writes = round % 2 == 0;
        for (int i = 0; i < COUNT; i++) {
            buffers[i] = must_malloc(SIZE);
            if (writes)
                fill(buffers[i], SIZE, round + i);
            blocks[i] = (struct iocb){ .aio_fildes = fileno(file), .aio_lio_opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
                                       .aio_buf = (uintptr_t)buffers[i], .aio_nbytes = SIZE, .aio_offset = i * SIZE };
            list[i] = &blocks[i];
        }
        if (round % 20 < 2)
            page_out(churn);
        CHECK(syscall(SYS_io_submit, context, COUNT, list) == COUNT, "io_submit");
        if (round % 20 < 2)
            page_out(churn);
        CHECK(syscall(SYS_io_getevents, context, COUNT, COUNT, events, NULL) == COUNT, "io_getevents");
        for (int i = 0; i < COUNT; i++) {
            CHECK(events[i].res == SIZE, "request: %lld", (long long)events[i].res);
            verify(buffers[i], SIZE, round - !writes + i, "request");
            /* Not freed: what stays pinned would fill the arena. */
            if (round >= ROUNDS / 4)
                free(buffers[i]);
        }
    }
    CHECK(syscall(SYS_io_destroy, context) == 0, "io_destroy");
    free(blocks), free(list), free(events);
    fclose(file);
    page_out(churn);
    said("io_submit");
}

static void filters(void)
{
    struct sock_fprog *program = must_malloc(sizeof *program);
    struct sock_filter *code = must_malloc(PAGE);
    code[0] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    *program = (struct sock_fprog){ 1, code };
    int sockets[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) == 0, "socketpair");
    page_out(churn);
    CHECK(setsockopt(sockets[0], SOL_SOCKET, SO_ATTACH_FILTER, program, sizeof *program) == 0, "SO_ATTACH_FILTER");
    pid_t child = fork();
    if (child == 0) {
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
        page_out(churn);
        CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) == 0, "PR_SET_SECCOMP");
        page_out(churn);
        CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) == 0, "seccomp");
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "status %x", status);
    free(program), free(code);
    close(sockets[0]), close(sockets[1]);
    said("filters");
}

/* vmsplice waits for room for something, not for all; a pipe without room is full. */
static void splices_what_fits(int file[2])
{
    enum { MUCH = 96 * KIB };
    char *text = must_malloc(MUCH), *back = must_malloc(MUCH);
    struct iovec parts[] = { { text, 10000 }, { text + 10000, MUCH - 10000 } };
    fill(text, MUCH, 8);
    page_out(churn);
    alarm(20);
    ssize_t all = 0, n = vmsplice(file[1], parts, 2, 0);
    CHECK(n > 10000 && n <= 64 * KIB, "vmsplice of more than a pipe holds gave %zd", n);
    CHECK(vmsplice(file[1], parts, 1, SPLICE_F_NONBLOCK) == -1 && errno == EAGAIN, "vmsplice to a full pipe");
    alarm(0);
    while (all < n) {
        ssize_t some = read(file[0], back + all, n - all);
        CHECK(some > 0, "read gave %zd", some);
        all += some;
    }
    verify(back, n / 8 * 8, 8, "what was spliced in two parts");
    free(text), free(back);
}

static void *touches(void *page)
{
    CHECK(*(volatile char *)page == 0, "a page given up");
    return NULL;
}

/* Who has a userfaultfd watch pages of a block is told of their faults, or that this cannot be. */
static void watched(void)
{
    enum { USER_MODE_ONLY = 1 };
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY);
    struct uffdio_api api = { .api = UFFD_API };
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0)
        return;
    char *page = aligned_alloc(PAGE, PAGE);
    memset(page, 1, PAGE);
    struct uffdio_register watch = { .range = { (uintptr_t)page, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
    if (ioctl(fd, UFFDIO_REGISTER, &watch) == 0) {
        pthread_t thread;
        struct pollfd event = { .fd = fd, .events = POLLIN };
        struct uffdio_zeropage zero = { .range = watch.range };
        CHECK(madvise(page, PAGE, MADV_DONTNEED) == 0, "madvise");
        CHECK(pthread_create(&thread, NULL, touches, page) == 0, "pthread_create");
        CHECK(poll(&event, 1, 10000) == 1 && ioctl(fd, UFFDIO_ZEROPAGE, &zero) == 0, "a fault that nobody was told of");
        pthread_join(thread, NULL);
    } else {
        CHECK(errno == EINVAL, "UFFDIO_REGISTER");
    }
    close(fd);
    free(page);
}

/* What would keep pages of the program's for longer than a call. */
static void keepers(void)
{
    char *text = must_malloc(64 * KIB), back[1000];
    int file[2], one = 1, sockets[2];
    memset(text, 'x', 64 * KIB);
    CHECK(pipe(file) == 0, "pipe");
    page_out(churn);
    struct iovec part = { text + 100, 1000 };
    CHECK(vmsplice(file[1], &part, 1, 0) == 1000, "vmsplice");
    page_out(churn);
    CHECK(read(file[0], back, 1000) == 1000 && back[0] == 'x' && back[999] == 'x', "what was spliced");
    splices_what_fits(file);
    /* Both have another way where they are refused, which is for the program to take. */
    CHECK(socketpair(AF_INET, SOCK_STREAM, 0, sockets) == -1, "socketpair");
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (tcp >= 0) {
        setsockopt(tcp, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one);
        close(tcp);
    }
    close(file[0]), close(file[1]);
    free(text);
    watched();
    said("vmsplice, userfaultfd");
}

/* A limit of address space that the program has exceeded when it sets it: what it has it keeps. */
static void limited_space(void)
{
    enum { SIZE = 64 * KIB };
    char *block = must_malloc(SIZE);
    struct rlimit before, low;
    CHECK(getrlimit(RLIMIT_AS, &before) == 0, "getrlimit");
    low = (struct rlimit){ .rlim_cur = MIB, .rlim_max = before.rlim_max };
    fill(block, SIZE, 12);
    page_out(churn);
    CHECK(setrlimit(RLIMIT_AS, &low) == 0, "setrlimit");
    verify(block, SIZE, 12, "paged in under a limit");
    CHECK(getrlimit(RLIMIT_AS, &low) == 0 && low.rlim_cur == MIB, "the limit has changed");
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED, "mmap beyond the limit");
    CHECK(setrlimit(RLIMIT_AS, &before) == 0, "setrlimit");
    free(block);
    said("limited address space");
}

/* A thread ends and leaves a mutex locked, in memory that is paged out at that moment. */
static pthread_mutex_t *robust[20];

static void *dies(void *argument)
{
    for (int i = 0; i < 20; i++)
        CHECK(pthread_mutex_lock(robust[i]) == 0, "lock");
    page_out(churn);
    return argument;
}

static void robust_mutexes(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (int i = 0; i < 20; i++) {
        robust[i] = must_malloc(2 * PAGE);
        pthread_mutex_init(robust[i], &attributes);
    }
    pthread_join(start(dies, NULL), NULL);
    for (int i = 0; i < 20; i++) {
        CHECK(pthread_mutex_lock(robust[i]) == EOWNERDEAD, "mutex %d: its owner is not dead", i);
        pthread_mutex_consistent(robust[i]);
        pthread_mutex_unlock(robust[i]);
        free(robust[i]);
    }
    said("robust mutexes");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    page_out(churn);
    many_messages(40, 3000);
    many_messages(16, 120 * KIB);
    one_large_message(churn / 4 * 3);
    said("sendmmsg, recvmmsg");
    long_vectors();
    requests();
    filters();
    keepers();
    limited_space();
    robust_mutexes();
    return 0;
}

/* Question: may a program treat all descriptors as its own (ask for, copy or close every number, close
 * those it finds, take any number with dup2, live under a low limit) without harm to its memory, and without a
 * descriptor that it has not opened?
 *
 * usage: calls_descriptors [bytes to page out]
 */
#include "common.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { NUMBERS = 1200, SIZE = 64 * KIB };

static size_t churn;
static int raw, highest;
static unsigned char *block;

static void check(const char *what)
{
    page_out(churn);
    verify(block, SIZE, 1, what);
    said(what);
}

static int shut(int fd)
{
    return raw ? (int)syscall(SYS_close, fd) : close(fd);
}

static int take(int from, int to)
{
    return raw ? (int)syscall(SYS_dup3, from, to, 0) : to % 2 ? dup2(from, to) : dup3(from, to, O_CLOEXEC);
}

static int ask(int fd, int how)
{
    struct stat status;
    switch (how) {
    case 0: return raw ? (int)syscall(SYS_fcntl, fd, F_GETFD) : fcntl(fd, F_GETFD);
    case 1: return raw ? (int)syscall(SYS_fstat, fd, &status) : fstat(fd, &status);
    /* Who clears the flag of every number hands what is open to the programs that it executes. */
    case 2: return raw ? (int)syscall(SYS_fcntl, fd, F_SETFD, 0) : fcntl(fd, F_SETFD, 0);
    case 3: return raw ? (int)syscall(SYS_fcntl, fd, F_DUPFD, 0) : fcntl(fd, F_DUPFD, 0);
    default: return raw ? (int)syscall(SYS_dup, fd) : dup(fd);
    }
}

static void find_numbers(void)
{
    for (int how = 0; how < 5; how++)
        for (int fd = 3; fd < highest; fd++)
            CHECK(ask(fd, how) == -1 && errno == EBADF, "descriptor %d is open, by way %d", fd, how);
    CHECK(ask(1, 0) == 0 && ask(1, 1) == 0, "standard output");
    said("no number is open");
}

static void close_numbers(void)
{
    int own = open("/dev/null", O_RDWR), closed = 0;
    CHECK(own == 3, "first descriptor is %d", own);
    for (int fd = 3; fd < highest; fd++) {
        int result = shut(fd);
        closed += result == 0;
        CHECK(result == 0 || errno == EBADF, "close(%d)", fd);
    }
    printf("%d closed\n", closed);
    check("close of every number");
}

static void close_listed(void)
{
    DIR *list = opendir("/proc/self/fd");
    CHECK(list != NULL, "/proc/self/fd");
    struct dirent *entry;
    while ((entry = readdir(list)) != NULL) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(list))
            shut(fd);
    }
    closedir(list);
    check("close of what is listed");
}

static void close_ranges(void)
{
    int own[5];
    for (int i = 0; i < 5; i++)
        own[i] = open("/dev/null", O_RDWR);
    if (raw)
        CHECK(syscall(SYS_close_range, 4u, ~0u, 0) == 0, "close_range");
    else
        CHECK(close_range(4, ~0u, 0) == 0, "close_range");
    CHECK(fcntl(own[0], F_GETFD) == 0 && fcntl(own[1], F_GETFD) == -1, "close_range closes what it should");
    check("close_range");
    if (!raw)
        closefrom(3);
    else
        CHECK(syscall(SYS_close_range, 3u, 4000u, 0) == 0, "close_range");
    CHECK(fcntl(own[0], F_GETFD) == -1, "closefrom");
    check("closefrom");
}

/* Every number is the program's if it wants it. */
static void take_numbers(void)
{
    int file[2];
    CHECK(pipe(file) == 0, "pipe");
    for (int fd = 5; fd < highest; fd++) {
        CHECK(take(file[1], fd) == fd, "dup to %d", fd);
        char sent = (char)fd, got = 0;
        CHECK(write(fd, &sent, 1) == 1 && read(file[0], &got, 1) == 1 && sent == got, "byte through %d", fd);
        if (fd % 100 == 0)
            page_out(churn / 4);
        if (fd % 3 == 0)
            CHECK(shut(fd) == 0, "close of %d", fd);
    }
    page_out(churn);
    for (int fd = 5; fd < highest; fd++)
        CHECK(shut(fd) == (fd % 3 == 0 ? -1 : 0), "close of %d", fd);
    close(file[0]), close(file[1]);
    CHECK(take(900, 901) == -1 && errno == EBADF, "dup of nothing");
    check("dup2 to every number");
}

static void children(void)
{
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (child == 0) {
            for (int fd = 3; fd < highest; fd++)
                shut(fd);
            page_out(churn);
            verify(block, SIZE, 1, "child");
            if (i == 0)
                _exit(5);
            /* What a program that is executed inherits: nothing but the first three. */
            unsetenv("LD_PRELOAD");
            execl("/bin/sh", "sh", "-c", "for fd in /proc/self/fd/*; do echo ${fd##*/}; done | sort -n | tail -1 >&2; exit 5", NULL);
            _exit(1);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5, "status %x", status);
    }
    check("children that close everything");
}

/* With a limit below our numbers everything works as before, also what needs new descriptors. */
static void low_limit(void)
{
    struct rlimit limit, before;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit");
    limit = before;
    limit.rlim_cur = 20;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    int last = -1, fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        last = fd;
    CHECK(errno == EMFILE, "no more descriptors");
    printf("last %d\n", last);
    page_out(churn);
    pid_t child = fork();
    CHECK(child >= 0, "fork without descriptors");
    if (child == 0) {
        page_out(churn);
        verify(block, SIZE, 1, "child");
        _exit(6);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 6, "status %x", status);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 20, "the limit has changed");
    for (fd = 3; fd <= last; fd++)
        shut(fd);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0, "setrlimit");
    check("a low limit");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    highest = limit.rlim_cur < NUMBERS ? (int)limit.rlim_cur : NUMBERS;
    close_range(3, ~0u, 0);
    block = must_malloc(SIZE);
    fill(block, SIZE, 1);
    /* Before and after system calls are guarded. */
    for (raw = 0; raw < 2; raw++)
        find_numbers();
    page_out(churn);
    for (raw = 0; raw < 2; raw++) {
        find_numbers();
        close_numbers();
        close_listed();
        close_ranges();
        take_numbers();
        children();
        low_limit();
    }
    return 0;
}

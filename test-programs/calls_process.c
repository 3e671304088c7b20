/* Question: do programs start, wait and poll as they should when the arguments, environments, sets
 * and results of those calls lie in heap pages that have been paged out?
 *
 * usage: calls_process [bytes to page out]
 */
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/times.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;
static size_t churn;

/* A NULL-terminated vector of strings in the heap, each in its own block. */
static char **strings(const char *const *from)
{
    size_t count = 0;
    while (from[count] != NULL)
        count++;
    char **copy = must_malloc((count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        CHECK((copy[i] = strdup(from[i])) != NULL, "strdup");
    copy[count] = NULL;
    return copy;
}

static void free_strings(char **vector)
{
    for (size_t i = 0; vector[i] != NULL; i++)
        free(vector[i]);
    free(vector);
}

/* Waits into a status that is in the heap and has been paged out. */
static void must_exit_with(pid_t child, int code)
{
    int *status = must_malloc(sizeof *status);
    struct rusage *usage = must_malloc(sizeof *usage);
    memset(status, 0xee, sizeof *status);
    page_out(churn);
    CHECK(wait4(child, status, 0, usage) == child, "wait4");
    CHECK(WIFEXITED(*status) && WEXITSTATUS(*status) == code, "status %x, expected exit %d", *status, code);
    free(status), free(usage);
}

static const char *const script[] = {"sh", "-c", "echo \"$0 $1 $GREETING\"; exit 7", "one", "two three", NULL};

/* The child must find the library again if it was preloaded: LD_PRELOAD and its like go along. */
static char **environment_with(const char *extra)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    const char **all = must_malloc((count + 2) * sizeof *all);
    memcpy(all, environ, count * sizeof *all);
    all[count] = extra, all[count + 1] = NULL;
    char **copy = strings(all);
    free(all);
    return copy;
}

static void execute(void)
{
    char *shell = strdup("/bin/sh"), **arguments = strings(script), **environment = environment_with("GREETING=hello");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        page_out(churn);
        execve(shell, arguments, environment);
        fail("execve: %s", strerror(errno));
    }
    must_exit_with(child, 7);
    page_out(churn);
    int error = posix_spawn(&child, shell, NULL, NULL, arguments, environment);
    CHECK(error == 0, "posix_spawn: %s", strerror(error));
    must_exit_with(child, 7);
    page_out(churn);
    error = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environment);
    CHECK(error == 0, "posix_spawnp: %s", strerror(error));
    must_exit_with(child, 7);
    child = vfork();
    if (child == 0) {
        execve(shell, arguments, environment);
        _exit(127);
    }
    must_exit_with(child, 7);
    free(shell), free_strings(arguments), free_strings(environment);
    said("execve, posix_spawn, vfork, wait4");
}

static void shells(void)
{
    char *command = strdup("echo by system; exit 3");
    page_out(churn);
    int status = system(command);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "system: %x", status);
    free(command);
    FILE *stream = popen("seq 1 20000", "r");
    CHECK(stream != NULL, "popen");
    long total = 0, value;
    for (int i = 0; fscanf(stream, "%ld", &value) == 1; i++) {
        total += value;
        if (i % 5000 == 0)
            page_out(churn);
    }
    CHECK(pclose(stream) == 0 && total == 200010000, "popen: %ld", total);
    stream = popen("cat >/dev/null; exit 5", "w");
    CHECK(stream != NULL, "popen");
    char *text = must_malloc(200000);
    memset(text, 'x', 200000);
    page_out(churn);
    CHECK(fwrite(text, 1, 200000, stream) == 200000, "fwrite into popen");
    CHECK(WEXITSTATUS(pclose(stream)) == 5, "pclose");
    free(text);
    said("system, popen");
}

static void *write_later(void *parameter)
{
    usleep(20000);
    page_out(churn / 4);
    char byte = 1;
    CHECK(write(*(int *)parameter, &byte, 1) == 1, "write");
    return NULL;
}

/* Each waits for a pipe that another thread writes to after a while. */
static void polling(void)
{
    enum { POLL, PPOLL, SELECT, PSELECT, EPOLL, KINDS };
    int *ends = must_malloc(2 * sizeof *ends);
    CHECK(pipe(ends) == 0, "pipe");
    int watcher = epoll_create1(0);
    struct epoll_event *events = must_malloc(16 * sizeof *events);
    events[0] = (struct epoll_event){.events = EPOLLIN, .data.u64 = 4711};
    page_out(churn);
    CHECK(epoll_ctl(watcher, EPOLL_CTL_ADD, ends[0], events) == 0, "epoll_ctl");
    for (int kind = 0; kind < KINDS; kind++) {
        struct pollfd *polled = must_malloc(300 * sizeof *polled);
        for (int i = 0; i < 300; i++)
            polled[i] = (struct pollfd){.fd = i == 299 ? ends[0] : -1, .events = POLLIN};
        fd_set *set = must_malloc(sizeof *set);
        FD_ZERO(set);
        FD_SET(ends[0], set);
        struct timeval *patience = must_malloc(sizeof *patience);
        struct timespec *limit = must_malloc(sizeof *limit);
        sigset_t *mask = must_malloc(sizeof *mask);
        *patience = (struct timeval){10, 0}, *limit = (struct timespec){10, 0}, sigemptyset(mask);
        memset(events, 0, 16 * sizeof *events);
        page_out(churn);
        pthread_t writer = start(write_later, &ends[1]);
        int count = kind == POLL      ? poll(polled, 300, 10000)
                    : kind == PPOLL   ? ppoll(polled, 300, limit, mask)
                    : kind == SELECT  ? select(ends[0] + 1, set, NULL, NULL, patience)
                    : kind == PSELECT ? pselect(ends[0] + 1, set, NULL, NULL, limit, mask)
                                      : epoll_wait(watcher, events, 16, 10000);
        CHECK(count == 1, "kind %d gave %d", kind, count);
        if (kind <= PPOLL)
            CHECK(polled[299].revents == POLLIN, "revents");
        else if (kind <= PSELECT)
            CHECK(FD_ISSET(ends[0], set), "fd_set");
        else
            CHECK(events[0].data.u64 == 4711 && events[0].events == EPOLLIN, "epoll_event");
        char byte;
        CHECK(read(ends[0], &byte, 1) == 1 && byte == 1, "read");
        pthread_join(writer, NULL);
        free(polled), free(set), free(patience), free(limit), free(mask);
    }
    close(ends[0]), close(ends[1]), close(watcher);
    free(ends), free(events);
    said("poll, ppoll, select, pselect, epoll");
}

static void waiting(void)
{
    siginfo_t *info = must_malloc(sizeof *info);
    memset(info, 0xee, sizeof *info);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(9);
    page_out(churn);
    CHECK(waitid(P_PID, child, info, WEXITED) == 0 && info->si_status == 9 && info->si_pid == child, "waitid");
    struct rlimit *limit = must_malloc(sizeof *limit);
    struct tms *times_used = must_malloc(sizeof *times_used);
    page_out(churn);
    CHECK(getrlimit(RLIMIT_NOFILE, limit) == 0 && limit->rlim_cur > 0, "getrlimit");
    CHECK(times(times_used) != (clock_t)-1, "times");
    free(info), free(limit), free(times_used);
    said("waitid, getrlimit, times");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    execute();
    shells();
    polling();
    waiting();
    return 0;
}

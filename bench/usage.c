/* usage: runs a command and says what it used.
 *
 * The kernel counts a process's peak from its fork on, so the one who forks must be small itself: this one is.
 *
 * usage FILE COMMAND [ARGUMENT...] ends as the command did and writes one line of key=value pairs into FILE: processor time in
 * microseconds (user and system, all threads), and the most memory that was resident, in KiB. */
#include "bench.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long long microseconds(struct timeval t) { return (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_usec; }

int main(int argc, char **argv) {
    if (argc < 3) usage("usage FILE COMMAND [ARGUMENT...]");
    /* The library under test was meant for the command. */
    const char *preload = getenv("USAGE_PRELOAD");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        if (preload && setenv("LD_PRELOAD", preload, 1)) die("setenv");
        unsetenv("USAGE_PRELOAD");
        execvp(argv[2], argv + 2);
        die(argv[2]);
    }
    int status;
    struct rusage used;
    if (wait4(child, &status, 0, &used) < 0) die("wait4");
    FILE *file = fopen(argv[1], "w");
    if (!file) die(argv[1]);
    fprintf(file, "user=%llu system=%llu peak=%ld\n", microseconds(used.ru_utime), microseconds(used.ru_stime), used.ru_maxrss);
    if (fclose(file)) die(argv[1]);
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

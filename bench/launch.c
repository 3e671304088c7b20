/* launch: what does a preloaded library add to the start and end of a program?
 *
 * Starts PROGRAM again and again, under each LD_PRELOAD in turn ('-' is none), and times from posix_spawn to the end of
 * waitpid. Runs alternate, and the extra time is the median of the differences within each turn, so that a machine that
 * slows down half-way does not show.
 *
 * launch RUNS PROGRAM PRELOAD... (the first is what the others are compared with) */
#include "bench.h"
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

enum { MOST_RUNS = 10000, MOST_PRELOADS = 8 };

extern char **environ;
static int64_t times[MOST_PRELOADS][MOST_RUNS];

static int64_t once(char *program, const char *preload) {
    if (strcmp(preload, "-")) setenv("LD_PRELOAD", preload, 1);
    else unsetenv("LD_PRELOAD");
    char *arguments[] = {program, NULL};
    pid_t pid;
    int status;
    uint64_t start = now_ns();
    if ((errno = posix_spawn(&pid, program, NULL, NULL, arguments, environ))) die(program);
    if (waitpid(pid, &status, 0) != pid) die("waitpid");
    int64_t ns = (int64_t)(now_ns() - start);
    if (status) {
        fprintf(stderr, "launch: %s under %s ended with wait status %d\n", program, preload, status);
        exit(1);
    }
    return ns;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median_us(const int64_t *values, const int64_t *minus, size_t count) {
    static int64_t sorted[MOST_RUNS];
    for (size_t i = 0; i < count; i++) sorted[i] = values[i] - (minus ? minus[i] : 0);
    qsort(sorted, count, sizeof *sorted, compare);
    return (double)(sorted[count / 2] + sorted[(count - 1) / 2]) / 2000.0;
}

int main(int argc, char **argv) {
    size_t runs = argument(argc, argv, 1, 0), preloads = argc > 3 ? (size_t)argc - 3 : 0;
    if (runs == 0 || runs > MOST_RUNS || preloads == 0 || preloads > MOST_PRELOADS)
        usage("launch RUNS (1 to 10000) PROGRAM PRELOAD... (1 to 8, '-' is none)");
    for (size_t p = 0; p < preloads; p++) once(argv[2], argv[3 + p]); /* brings the files into the page cache */
    for (size_t run = 0; run < runs; run++)
        for (size_t p = 0; p < preloads; p++) times[p][run] = once(argv[2], argv[3 + p]);
    for (size_t p = 0; p < preloads; p++)
        printf("preload=%s median_us=%.1f extra_us=%.1f\n", argv[3 + p], median_us(times[p], NULL, runs),
               median_us(times[p], times[0], runs));
}

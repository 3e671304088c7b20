/* Question: may a signal handler fork, whatever it interrupts: malloc, free, realloc, a fault, another fork?
 * fork is async-signal-safe, and a child has its own copy.
 *
 * usage: fork_in_handler [children] [bytes of heap in use]
 */
#include "common.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { BLOCKS = 200 };

static volatile int children, pending;
static volatile uint64_t *shared;
static size_t size;

static void on_tick(int signal)
{
    int error = errno, status;
    (void)signal;
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        verify((void *)shared, size, 1, "a child's copy");
        _exit(5);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 5 << 8, "status %#x", status);
    children--;
    pending = 0;
    errno = error;
}

int main(int argc, char **argv)
{
    children = (int)argument(argc, argv, 1, 200);
    size = argument(argc, argv, 2, 256 * KIB);
    shared = must_malloc(size);
    fill((void *)shared, size, 1);
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct { unsigned char *at; size_t size; } blocks[BLOCKS] = {{NULL, 0}};
    uint64_t dice = 7, sum = 0;
    while (children > 0) {
        if (!pending) {   /* one at a time, else nothing but the handler would run */
            struct itimerval soon = {{0, 0}, {0, (long)between(&dice, 20, 500)}};
            pending = 1;
            setitimer(ITIMER_REAL, &soon, NULL);
        }
        size_t i = between(&dice, 0, BLOCKS - 1);
        size_t want = between(&dice, 1, 3) == 1 ? between(&dice, 1, 200 * KIB) : between(&dice, 1, 3000);
        if (blocks[i].at != NULL)
            sum += verify(blocks[i].at, blocks[i].size, i, "a block");
        if (between(&dice, 0, 3) == 0) {
            free(blocks[i].at);
            blocks[i].at = NULL;
        } else {
            blocks[i].at = realloc(blocks[i].at, want);
            CHECK(blocks[i].at != NULL, "realloc");
            blocks[i].size = want;
            fill(blocks[i].at, want, i);
        }
    }
    printf("%016llx\n", (unsigned long long)verify((void *)shared, size, 1, "the heap"));
    return sum == 0;
}

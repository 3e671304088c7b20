/* Question: however a process that has paged ends, is its end what it is natively, and is nothing left
 * behind but what was asked for?
 *
 * usage: last_words exit|_exit|quick_exit|abort|kill|terminate|crash|exec
 */
#include "common.h"

#include <signal.h>
#include <sys/resource.h>

static void *busy(void *parameter)
{
    for (;;)
        page_out((size_t)parameter);
    return NULL;
}

static void farewell(void)
{
    page_out(2 * MIB);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "exit";
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    char *block = must_malloc(100);
    page_out(4 * MIB);
    start(busy, (void *)(2 * MIB));   /* faults until the end */
    start(busy, (void *)(1 * MIB));
    usleep(20000);
    atexit(farewell), at_quick_exit(farewell);
    if (strcmp(how, "exec") == 0) {
        unsetenv("LD_PRELOAD");
        execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
    }
    if (strcmp(how, "_exit") == 0)
        _exit(6);
    if (strcmp(how, "quick_exit") == 0)
        quick_exit(7);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    if (strcmp(how, "terminate") == 0)
        kill(getpid(), SIGTERM), sleep(10);
    if (strcmp(how, "crash") == 0)
        *(volatile char *)(uintptr_t)(block[0] & 1 ? 16 : 8) = 1;
    return 8;
}

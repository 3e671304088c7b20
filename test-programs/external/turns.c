/* Does one application run at a time, in the order in which they came, until each yields or ends?
 *
 * Processes count in a page of their own and log each step; the pager's console must show the steps of
 * all of them in turn.
 *
 *   turns [PROCESSES] [STEPS]
 */
#define VM_APP_NO_START /* the parent is no application */
#include "app.h"

#include <sys/wait.h>

static void run(unsigned number, unsigned steps)
{
    char *page = must_extend(0);
    for (unsigned step = 0; step < steps; step++) {
        int n = sprintf(page, "process %u step %u", number, step);
        CHECK(vm_syslog(page, (unsigned)n) == 0, "vm_syslog");
        vm_yield();
    }
}

/* Waits until the pager's trace says that the process has come, and so is in the queue. */
static void await(pid_t process)
{
    char path[300], line[100], awaited[40];
    snprintf(path, sizeof path, "%s/trace", getenv("PAGER_DIR"));
    snprintf(awaited, sizeof awaited, "vm_create(%d)\n", process);
    for (int seen = 0; !seen; usleep(1000)) {
        FILE *trace = fopen(path, "r");
        CHECK(trace != NULL, "no trace at %s: to be run by with-pager", path);
        while (!seen && fgets(line, sizeof line, trace) != NULL)
            seen = strcmp(line, awaited) == 0;
        fclose(trace);
    }
}

int main(int argc, char **argv)
{
    unsigned processes = argument(argc, argv, 1, 3), steps = argument(argc, argv, 2, 5);
    /* The parent runs while the children come in one by one, so their order is known. */
    vm_app_start();
    for (unsigned i = 0; i < processes; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (child == 0) {
            run(i, steps);
            exit(0);
        }
        await(child);
    }
    for (unsigned i = 0; i < processes * (steps + 2); i++)
        vm_yield();
    for (unsigned i = 0; i < processes; i++) {
        int status;
        CHECK(wait(&status) > 0 && status == 0, "a child ends with status %x", status);
    }
    puts("turns: ok");
}

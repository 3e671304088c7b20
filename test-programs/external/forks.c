/* Is a forked child a new application, whose arena has no valid page, and does its parent lose nothing?
 */
#include "app.h"

#include <signal.h>
#include <sys/wait.h>

static int child(void (*work)(void))
{
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        work();
        exit(0);
    }
    int status;
    /* It waits for a turn, which is given up by those who yield. */
    while (waitpid(pid, &status, WNOHANG) == 0)
        vm_yield();
    return status;
}

static void nothing(void) {}

static void touches(void) { *(volatile char *)VM_ARENA_BASEADDR = 1; }

static void extends(void)
{
    for (unsigned i = 0; i < 10; i++)
        fill_page(must_extend(i), 1000 + i);
    for (unsigned i = 0; i < 10; i++)
        check_page((char *)VM_ARENA_BASEADDR + i * VM_PAGESIZE, 1000 + i);
    CHECK(child(nothing) == 0, "a grandchild");
    CHECK(vm_syslog(VM_ARENA_BASEADDR, 10 * VM_PAGESIZE + 1) == -1, "a byte of the parent's is valid");
}

int main(void)
{
    char *arena = VM_ARENA_BASEADDR;
    for (unsigned i = 0; i < 15; i++)
        fill_page(must_extend(i), i);
    CHECK(child(nothing) == 0, "a child that does nothing");
    int status = child(touches);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a child that touches its parent's arena: status %x", status);
    CHECK(child(extends) == 0, "a child with an arena of its own");
    for (unsigned i = 0; i < 15; i++)
        check_page(arena + i * VM_PAGESIZE, i);
    CHECK(system("true") == 0, "system");
    puts("forks: ok");
}

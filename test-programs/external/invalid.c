/* Is an access outside of the valid pages the program's own SIGSEGV, before and after, with its handler and without?
 *
 *   invalid            to a handler
 *   invalid ADDRESS    to death
 */
#include "app.h"

#include <setjmp.h>
#include <signal.h>

static sigjmp_buf back;
static void *volatile seen;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    seen = info->si_addr;
    siglongjmp(back, 1);
}

static void must_fault(uintptr_t address, int write)
{
    if (sigsetjmp(back, 1) == 0) {
        if (write)
            *(volatile char *)address = 1;
        else
            (void)*(volatile char *)address;
        CHECK(0, "%#lx can be accessed", (unsigned long)address);
    }
    CHECK(seen == (void *)address, "the handler sees %p, not %#lx", seen, (unsigned long)address);
}

int main(int argc, char **argv)
{
    uintptr_t base = (uintptr_t)VM_ARENA_BASEADDR;
    if (argc > 1) {
        must_extend(0)[0] = 1;
        *(volatile char *)strtoul(argv[1], NULL, 0) = 1;
        return 0;
    }
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction");
    vm_app_start(); /* the arena's faults come to the library again, the others to on_fault */
    for (int write = 0; write < 2; write++) {
        must_fault(base, write);
        must_fault(16, write);
    }
    must_extend(0)[5] = 7;
    must_extend(1);
    for (int write = 0; write < 2; write++) {
        must_fault(base + 2 * VM_PAGESIZE, write);
        must_fault(base + VM_ARENA_SIZE - 1, write);
        must_fault(32, write);
        CHECK(((char *)base)[5] == 7, "the first page is lost");
    }
    puts("invalid: ok");
}

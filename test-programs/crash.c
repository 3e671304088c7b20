/* Question: when a program that pages dies of its own wrong access while its other threads fault, does its core
 * name the function, the address, and what each thread did, as natively?
 *
 * It dies in `culprit`, or in `overflow`; `guilty` is where from the debugger counts the address, and
 * `fresh` points to what was written last.
 *
 * usage: crash null|closed|unmapped|overflow|thread|text [bytes to page out]
 */
#include "common.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

char *guilty;
unsigned *fresh;
static volatile int sink;
static atomic_int at_work;

__attribute__((noinline)) static void culprit(volatile char *at)
{
    at[8] = 1;
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline)) static int overflow(volatile char *at)
{
    volatile char here[256];
    here[0] = at[0];
    return overflow(here) + here[0];
}

static void *in_thread(void *parameter)
{
    culprit(parameter);
    return NULL;
}

static void *busy(void *parameter)
{
    for (int round = 0;; round++) {
        page_out((size_t)parameter);
        at_work += round == 0;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "null";
    size_t churn = argument(argc, argv, 2, 12 * MIB);
    char *block = memalign(PAGE, 16 * PAGE);
    memset(block, 1, 16 * PAGE);
    page_out(churn);
    for (int i = 0; i < 4; i++)
        start(busy, (void *)churn);
    while (at_work < 4)
        sched_yield();
    fresh = must_malloc(4 * PAGE);
    mlock(fresh, sizeof *fresh); // a core has what is in memory
    *fresh = 4712;
    if (strcmp(how, "closed") == 0)
        mprotect(guilty = block + 4 * PAGE, PAGE, PROT_READ), culprit(guilty);
    else if (strcmp(how, "unmapped") == 0)
        munmap(guilty = block + 4 * PAGE, PAGE), culprit(guilty);
    else if (strcmp(how, "overflow") == 0)
        sink = overflow(block);
    else if (strcmp(how, "thread") == 0)
        pthread_join(start(in_thread, NULL), NULL);
    else if (strcmp(how, "text") == 0)
        culprit(guilty = (char *)(uintptr_t)main);
    else
        culprit(NULL);
    return 1;
}

/* May signal handlers and other threads use the arena, also while the application waits for its turn?
 *
 *   interrupted [PAGES] [ROUNDS]
 */
#include "app.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static char *arena;
static unsigned pages;
static volatile unsigned ticks;

static void on_alarm(int signal)
{
    (void)signal;
    unsigned at = ticks++ % pages;
    /* The last word of each page is the handler's. */
    ++*(uint64_t *)(arena + (size_t)(at + 1) * VM_PAGESIZE - 8);
}

static void *look(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < pages; i++)
        CHECK(*(uint64_t *)(arena + (size_t)i * VM_PAGESIZE) == mix(i), "another thread sees page %u", i);
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned rounds = argument(argc, argv, 2, 200);
    pages = argument(argc, argv, 1, 12);
    arena = VM_ARENA_BASEADDR;
    for (unsigned i = 0; i < pages; i++)
        *(uint64_t *)must_extend(i) = mix(i);

    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0, "setitimer");
    for (unsigned round = 0; round < rounds; round++) {
        vm_yield();
        for (unsigned i = 0; i < pages; i++)
            CHECK(*(uint64_t *)(arena + (size_t)i * VM_PAGESIZE) == mix(i), "page %u", i);
    }
    while (ticks < 3 * pages)
        vm_yield();
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0, "setitimer");

    uint64_t sum = 0;
    for (unsigned i = 0; i < pages; i++)
        sum += *(uint64_t *)(arena + (size_t)(i + 1) * VM_PAGESIZE - 8);
    CHECK(sum == ticks, "%llu ticks are in the arena, not %u", (unsigned long long)sum, ticks);
    for (unsigned i = 0; i < 3; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, look, NULL) == 0 && pthread_join(thread, NULL) == 0, "a thread");
    }
    puts("interrupted: ok");
}

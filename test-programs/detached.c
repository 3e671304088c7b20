/* Question: do detached threads end well when libc's own data about threads is paged out?
 *
 * A detached thread frees stacks and thread-local storage of threads that ended before it, after its
 * last destructor and with every signal blocked: blocks that may be absent.
 *
 * usage: detached [rounds] [bytes to page out]
 */
#include "common.h"
#include <semaphore.h>

enum { AT_ONCE = 12 };

static sem_t ended;
static size_t bytes;

static void *work(void *argument)
{
    char *block = must_malloc(20000);
    fill(block, 20000, (uintptr_t)argument);
    page_out(bytes);
    verify(block, 20000, (uintptr_t)argument, "block of a thread");
    free(block);
    sem_post(&ended);
    return NULL;
}

int main(int argc, char **argv)
{
    size_t rounds = argument(argc, argv, 1, 6);
    bytes = argument(argc, argv, 2, 3 * MIB);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sem_init(&ended, 0, 0);
    for (size_t round = 0; round < rounds; round++) {
        for (uintptr_t i = 0; i < AT_ONCE; i++) {
            pthread_t thread;
            CHECK(pthread_create(&thread, &detached, work, (void *)(i + 1)) == 0, "pthread_create");
        }
        for (int i = 0; i < AT_ONCE; i++)
            while (sem_wait(&ended) != 0)
                ;
        page_out(bytes);
        said("round");
    }
    return 0;
}

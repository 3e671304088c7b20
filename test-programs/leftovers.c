/* Are pages zero before their first use, also where an ended thread has been?
 *
 * A thread fills memory with 0xA5, frees it and ends; the next thread takes over its region and looks
 * for that byte in whole pages of memory that it was just given. Natively nothing is promised, so
 * only a run with TEST_EXPECT_ZERO=1 is strict. leftovers [BYTES] */
#include "common.h"
#include <pthread.h>
#include <string.h>

static size_t bytes = 200000;
static size_t found;

static void *leave(void *argument)
{
    for (int i = 0; i < 4; i++) {
        char *block = malloc(bytes);
        CHECK(block != NULL, "malloc");
        memset(block, 0xA5, bytes);
        free(block);
    }
    return argument;
}

static void *look(void *argument)
{
    unsigned char *block = malloc(bytes);
    CHECK(block != NULL, "malloc");
    for (size_t i = 0; i < bytes; i++)
        found += block[i] == 0xA5;
    free(block);
    return argument;
}

static void run(void *(*what)(void *))
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, what, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        bytes = strtoul(argv[1], NULL, 10);
    for (int i = 0; i < 20; i++) {
        run(leave);
        run(look);
    }
    CHECK(found == 0 || getenv("TEST_EXPECT_ZERO") == NULL, "%zu bytes of an ended thread", found);
    printf("looked for leftovers\n");
    return 0;
}

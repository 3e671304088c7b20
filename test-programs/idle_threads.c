/* Question: is the memory of threads that freed everything, and live on, memory for the others? Each allocates and frees blocks of
 * all lengths and then waits; the first thread then gets nearly the whole arena. Then they all go on.
 *
 * Under TEST_EXPECT_NULL=1 the first thread takes all that there is, and has to get LEAST bytes.
 * usage: idle_threads THREADS LEAST
 */
#include "common.h"

static pthread_barrier_t idle, again;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void use(unsigned char key)
{
    enum { MOST = 1000 };
    unsigned char *blocks[MOST];
    size_t sizes[MOST];
    int n = 0;
    pthread_mutex_lock(&one_at_a_time);
    for (size_t size = 16; size < 60000; size += size / 3)
        for (int k = 0; k < 3 && n < MOST; k++, n++)
            if ((blocks[n] = malloc(sizes[n] = size)) != NULL)
                memset(blocks[n], key, size);
    while (n-- > 0) {
        for (size_t i = 0; blocks[n] && i < sizes[n]; i++)
            CHECK(blocks[n][i] == key, "byte %zu of %zu is another", i, sizes[n]);
        free(blocks[n]);
    }
    pthread_mutex_unlock(&one_at_a_time);
}

static void *work(void *number)
{
    use((intptr_t)number);
    pthread_barrier_wait(&idle);
    pthread_barrier_wait(&again);
    use((intptr_t)number + 1);
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 60;
    size_t least = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, got = 0;
    pthread_t ids[500];
    pthread_barrier_init(&idle, NULL, threads + 1), pthread_barrier_init(&again, NULL, threads + 1);
    for (intptr_t i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, work, (void *)i) == 0, "thread");
    pthread_barrier_wait(&idle);
    void **list = NULL, **block;
    while ((getenv("TEST_EXPECT_NULL") || got < least) && (block = malloc(PAGE - 16)) != NULL) {
        *block = list, list = block;
        got += PAGE;
    }
    CHECK(got >= least, "%d idle threads leave %zu KiB of %zu", threads, got / KIB, least / KIB);
    while ((block = list) != NULL) {
        list = *block;
        free(block);
    }
    pthread_barrier_wait(&again);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    puts("what idle threads freed was memory for the others");
    return 0;
}

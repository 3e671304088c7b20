/* Question: do thousands of forks, with most of the heap swapped out, leak nothing, neither descriptors
 * nor mappings nor memory; and is a fork that there is no room for refused, and nothing else broken?
 *
 * The descriptors and mappings of the process are counted after some forks and after all of them.
 *
 * usage: many_forks [forks] [bytes of heap in use] [bytes to page out]
 */
#include "common.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>

static size_t entries(const char *path)
{
    size_t count = 0;
    DIR *directory = opendir(path);
    CHECK(directory != NULL, "%s", path);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void *forks(void *parameter)
{
    size_t count = (size_t)parameter;
    for (size_t i = 0; i < count; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork %zu: %s", i, strerror(errno));
        if (child == 0)
            _exit(i % 7);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == (int)(i % 7), "status %x", status);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    size_t count = argument(argc, argv, 1, 1000), size = argument(argc, argv, 2, 1 * MIB), churn = argument(argc, argv, 3, 2 * MIB);
    unsigned char *heap = must_malloc(size);
    fill(heap, size, 1);
    page_out(churn);
    if (expect_null()) {
        /* There is room for one swap file, and that is ours. */
        for (int i = 0; i < 3; i++) {
            pid_t child = fork();
            if (child == 0)
                _exit(1);
            CHECK(child == -1 && errno == ENOMEM, "a fork without room: %d, errno %d", (int)child, errno);
            page_out(churn);
            verify(heap, size, 1, "after a fork that failed");
        }
        int status;
        pid_t child = vfork();
        if (child == 0)
            _exit(3);
        CHECK(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3, "vfork needs no copy");
        free(heap);
        said("a fork without room");
        return 0;
    }
    forks((void *)(size_t)20);
    size_t descriptors = entries("/proc/self/fd"), mappings = lines("/proc/self/maps");
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        threads[i] = start(forks, (void *)(count / 2));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    getrusage(RUSAGE_SELF, &after);
    size_t now = entries("/proc/self/fd"), mapped = lines("/proc/self/maps");
    CHECK(now == descriptors, "%zu descriptors before, %zu after", descriptors, now);
    CHECK(mapped < mappings + mappings / 4 + 200, "%zu mappings before, %zu after", mappings, mapped);
    CHECK(after.ru_maxrss < before.ru_maxrss + 4096, "%ld KiB before, %ld after", before.ru_maxrss, after.ru_maxrss);
    verify(heap, size, 1, "after many forks");
    said("many forks");
    free(heap);
    return 0;
}

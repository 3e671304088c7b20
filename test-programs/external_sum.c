/* Question: does a sum over files come out right when the kernel reads into stdio buffers, and
 * writes from them, that have been paged out in between?
 *
 * Threads write files of numbers with fprintf and sum them with fscanf; every stream stays open
 * while the thread pages out what is in memory.
 *
 * usage: external_sum [files] [numbers per file] [threads] [bytes to page out]
 */
#include "common.h"

#include <sys/stat.h>

static size_t files, numbers, threads, churn;
static char directory[64];

/* One thread at a time, so that the limit is the arena's size and not its number of threads. */
static void page_out_alone(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    page_out(churn);
    pthread_mutex_unlock(&mutex);
}

static FILE *open_record(size_t index, const char *mode)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%zu", directory, index);
    FILE *stream = fopen(path, mode);
    CHECK(stream != NULL, "fopen %s: %s", path, strerror(errno));
    return stream;
}

static void *run(void *parameter)
{
    size_t me = (size_t)parameter;
    long long *sum = must_malloc(sizeof *sum);
    *sum = 0;
    for (size_t file = me; file < files; file += threads) {
        FILE *stream = open_record(file, "w");
        for (size_t i = 0; i < numbers; i++) {
            CHECK(fprintf(stream, "%zu\n", i * (file + 1)) > 0, "fprintf");
            if (i == numbers / 2)
                page_out_alone();
        }
        CHECK(fclose(stream) == 0, "fclose");
    }
    for (size_t file = me; file < files; file += threads) {
        FILE *stream = open_record(file, "r");
        long long value;
        size_t count = 0;
        while (fscanf(stream, "%lld", &value) == 1) {
            *sum += value;
            if (++count == numbers / 3)
                page_out_alone();
        }
        CHECK(count == numbers && feof(stream) && !ferror(stream), "file %zu: %zu numbers", file, count);
        fclose(stream);
    }
    return sum;
}

int main(int argc, char **argv)
{
    files = argument(argc, argv, 1, 16);
    numbers = argument(argc, argv, 2, 5000);
    threads = argument(argc, argv, 3, 4);
    churn = argument(argc, argv, 4, 12 * MIB);
    snprintf(directory, sizeof directory, "/tmp/external_sum.XXXXXX");
    CHECK(mkdtemp(directory) != NULL, "mkdtemp: %s", strerror(errno));
    pthread_t *handles = must_malloc(threads * sizeof *handles);
    for (size_t i = 0; i < threads; i++)
        handles[i] = start(run, (void *)i);
    long long sum = 0;
    for (size_t i = 0; i < threads; i++) {
        void *part;
        pthread_join(handles[i], &part);
        sum += *(long long *)part;
        free(part);
    }
    for (size_t file = 0; file < files; file++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%zu", directory, file);
        unlink(path);
    }
    rmdir(directory);
    printf("%lld\n", sum);
    free(handles);
    return 0;
}

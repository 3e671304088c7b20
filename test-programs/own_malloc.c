/* Question: does a program that defines malloc and its family itself keep them, and do its threads,
 * children, streams and handlers work all the same? Nothing of it is paged.
 *
 * Its heap never uses memory again; every block begins with a mark that free verifies, so that a
 * block of another heap is noticed.
 *
 * usage: own_malloc
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pthread.h>

enum { HEAP = 256 << 20 };
static const uint64_t MARK = 0x6f776e206d616c6c;

struct head {
    uint64_t mark, size;
};

static unsigned char *heap;
static size_t used, calls;

static void die(const char *why)
{
    ssize_t ignored = write(2, why, strlen(why));
    (void)ignored;
    _exit(1);
}

void *memalign(size_t align, size_t size)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (heap == NULL)
        heap = mmap(NULL, HEAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t at = (used + sizeof(struct head) + align - 1) & -align;
    used = (at + size + 15) & -(size_t)16;
    calls++;
    pthread_mutex_unlock(&lock);
    if (used > HEAP)
        die("own heap is used up\n");
    ((struct head *)(heap + at))[-1] = (struct head){MARK, size};
    return heap + at;
}

void *malloc(size_t size) { return memalign(16, size); }
void *aligned_alloc(size_t align, size_t size) { return memalign(align < 16 ? 16 : align, size); }
void *valloc(size_t size) { return memalign(4096, size); }
void *pvalloc(size_t size) { return memalign(4096, size); }
void *calloc(size_t count, size_t size) { return memalign(16, count * size); }
size_t malloc_usable_size(void *block) { return block == NULL ? 0 : ((struct head *)block)[-1].size; }

int posix_memalign(void **block, size_t align, size_t size)
{
    *block = aligned_alloc(align, size);
    return 0;
}

void free(void *block)
{
    if (block != NULL && ((struct head *)block)[-1].mark != MARK)
        die("free of another heap's block\n");
}

void *realloc(void *block, size_t size)
{
    void *new = malloc(size);
    size_t old = malloc_usable_size(block);
    free(block);
    return block == NULL ? new : memcpy(new, block, old < size ? old : size);
}

static int *counts;

static void on_signal(int signal)
{
    counts[signal]++;
}

static void *work(void *parameter)
{
    char *line = NULL;
    if (asprintf(&line, "thread %zu", (size_t)parameter) < 0)
        die("asprintf\n");
    for (int i = 0; i < 100; i++)
        line = realloc(line, 100 * i + 100);
    raise(SIGUSR1);
    return line;
}

int main(void)
{
    /* Such a malloc may not be ready for anybody before main. */
    printf("calls before main: %zu\n", calls);
    counts = calloc(65, sizeof *counts);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGSEGV, &action, NULL);
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
            die("pthread_create\n");
    for (size_t i = 0; i < 8; i++) {
        void *line;
        pthread_join(threads[i], &line);
        puts(line), free(line);
    }
    raise(SIGSEGV);
    printf("handled: %d %d\n", counts[SIGUSR1], counts[SIGSEGV]);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        free(malloc(100000));
        execlp("sh", "sh", "-c", "exit 3", (char *)NULL);
        _exit(1);
    }
    int status;
    if (waitpid(child, &status, 0) != child)
        die("waitpid\n");
    printf("child: %d, system: %d\n", WEXITSTATUS(status), WEXITSTATUS(system("exit 4")));
    FILE *pipe = popen("echo through a pipe", "r");
    char text[100];
    printf("popen: %s", fgets(text, sizeof text, pipe));
    pclose(pipe);
    printf("own malloc was called: %d\n", calls > 100);
    return 0;
}

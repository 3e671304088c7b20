/* Question: do allocation, system calls, forks, new threads and signal handlers, all at once in one
 * process, ever lose or change a byte?
 *
 * Each thread keeps blocks whose contents follow from a key, and verifies whatever comes back: from
 * realloc, from another thread, through a pipe, a socket or a file. Children verify what they inherited.
 *
 * usage: everything [threads] [seconds, as 5s, or rounds each] [bytes in use, about] [seed]
 */
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { MAX_THREADS = 16, BLOCKS = 48 };

struct block {
    unsigned char *bytes;
    size_t size;
    uint64_t key;
};

static size_t threads, rounds, seconds, share, seed;
static atomic_int stop;
static struct block exchange[MAX_THREADS];
static pthread_mutex_t exchange_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned *ticks;   /* in the heap: the handler's page may be absent */
static const size_t tick_words = 4096;

static void check(const struct block *block, const char *what)
{
    if (block->bytes != NULL)
        verify(block->bytes, block->size, block->key, what);
}

static struct block fresh(size_t size, uint64_t key)
{
    struct block block = {key % 3 ? malloc(size) : calloc(1, size), size, key};
    CHECK(block.bytes != NULL, "no memory for %zu bytes", size);
    if (key % 3 == 0)
        verify_zero(block.bytes, size, "calloc");
    fill(block.bytes, size, key);
    return block;
}

static size_t pick(uint64_t *random)
{
    return next_random(random) % 16 ? between(random, 1, 600) : between(random, 1, share / 16);
}

static void allocation(struct block *mine, uint64_t *random)
{
    struct block *block = &mine[next_random(random) % BLOCKS];
    check(block, "before a change");
    switch (next_random(random) % 4) {
    case 0:
        free(block->bytes);
        *block = fresh(pick(random), next_random(random));
        break;
    case 1: {
        size_t size = pick(random), kept = size < block->size ? size : block->size;
        unsigned char *moved = realloc(block->bytes, size);
        CHECK(moved != NULL, "no memory to make %zu of %zu bytes", size, block->size);
        verify(moved, block->bytes == NULL ? 0 : kept / 8 * 8, block->key, "after realloc");
        *block = (struct block){moved, size, next_random(random)};
        fill(moved, size, block->key);
        break;
    }
    default: {
        size_t place = next_random(random) % threads;
        pthread_mutex_lock(&exchange_mutex);
        struct block other = exchange[place];
        exchange[place] = *block, *block = other;
        pthread_mutex_unlock(&exchange_mutex);
    }
    }
}

/* What goes into one end of a channel comes out of the other. */
static void through(int to, int from, size_t size, uint64_t key, int vectored)
{
    struct block sent = fresh(size, key), came = fresh(size, ~key);
    size_t out = 0, in = 0;
    while (in < size) {
        if (out < size) {
            size_t half = (size - out) / 2;
            struct iovec parts[2] = {{sent.bytes + out, half}, {sent.bytes + out + half, size - out - half}};
            ssize_t n = vectored ? writev(to, parts, 2) : write(to, sent.bytes + out, size - out);
            CHECK(n >= 0 || errno == EAGAIN || errno == EINTR, "write: %s", strerror(errno));
            out += n > 0 ? n : 0;
        }
        ssize_t n = read(from, came.bytes + in, size - in);
        CHECK(n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)), "read: %zd, %s", n, strerror(errno));
        in += n > 0 ? n : 0;
    }
    verify(came.bytes, size, key, "what came through a channel");
    free(sent.bytes), free(came.bytes);
}

static void system_calls(uint64_t *random)
{
    int ends[2];
    size_t size = between(random, 1, share / 8);
    if (next_random(random) % 2)
        CHECK(pipe2(ends, O_NONBLOCK) == 0, "pipe: %s", strerror(errno));
    else
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0, "socketpair: %s", strerror(errno));
    through(ends[1], ends[0], size, next_random(random), next_random(random) % 2);
    close(ends[0]), close(ends[1]);
    FILE *file = tmpfile();
    CHECK(file != NULL, "tmpfile: %s", strerror(errno));
    struct block block = fresh(size, next_random(random));
    CHECK(fwrite(block.bytes, 1, size, file) == size && fflush(file) == 0, "fwrite: %s", strerror(errno));
    rewind(file);
    memset(block.bytes, 0, size);
    CHECK(fread(block.bytes, 1, size, file) == size, "fread: %s", strerror(errno));
    check(&block, "what came from a file");
    free(block.bytes);
    fclose(file);
}

static void forks(struct block *mine, uint64_t *random)
{
    pid_t child = fork();
    CHECK(child >= 0 || errno == ENOMEM, "fork: %s", strerror(errno));
    if (child == 0) {
        for (int i = 0; i < BLOCKS; i++)
            check(&mine[i], "what a child inherited");
        for (int i = 0; i < 40; i++)
            allocation(mine, random);
        system_calls(random);
        _exit(0);
    }
    for (int i = 0; i < 20; i++)
        allocation(mine, random);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0)
        CHECK(errno == EINTR, "waitpid: %s", strerror(errno));
    CHECK(status == 0, "a child ended with status %x", status);
}

static void *short_lived(void *parameter)
{
    struct block block = fresh(5000, (size_t)parameter);
    check(&block, "in a short-lived thread");
    free(block.bytes);
    return NULL;
}

static void *run(void *parameter)
{
    struct block mine[BLOCKS] = {0};
    uint64_t random = mix(seed * 977 + (size_t)parameter);
    for (size_t round = 0; seconds ? !atomic_load(&stop) : round < rounds; round++) {
        unsigned dice = next_random(&random) % 1000;
        if (dice < 2)
            forks(mine, &random);
        else if (dice < 12)
            system_calls(&random);
        else if (dice < 15)
            pthread_join(start(short_lived, (void *)(size_t)random), NULL);
        else
            allocation(mine, &random);
    }
    for (int i = 0; i < BLOCKS; i++) {
        check(&mine[i], "at the end");
        free(mine[i].bytes);
    }
    return NULL;
}

static void tick(int signal)
{
    static atomic_uint count;
    unsigned i = atomic_fetch_add(&count, 1);
    __atomic_fetch_add(&ticks[mix(i) % tick_words], signal == SIGALRM, __ATOMIC_RELAXED);
}

int main(int argc, char **argv)
{
    threads = argument(argc, argv, 1, 4);
    rounds = argument(argc, argv, 2, 3000);
    if (argc > 2 && argv[2][strlen(argv[2]) - 1] == 's')
        seconds = rounds;
    share = argument(argc, argv, 3, 6 * MIB) / threads;
    seed = argument(argc, argv, 4, 1);
    CHECK(threads >= 1 && threads <= MAX_THREADS, "1 to %d threads", MAX_THREADS);
    CHECK((ticks = calloc(tick_words, sizeof *ticks)) != NULL, "calloc");
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    pthread_t handles[MAX_THREADS];
    for (size_t i = 0; i < threads; i++)
        handles[i] = start(run, (void *)i);
    for (size_t i = 0; seconds && i < seconds * 10; i++) {
        struct timespec left = {0, 100000000};
        while (nanosleep(&left, &left) != 0)
            ;
    }
    atomic_store(&stop, 1);
    for (size_t i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    setitimer(ITIMER_REAL, &never, NULL);
    for (size_t i = 0; i < threads; i++) {
        check(&exchange[i], "left in exchange");
        free(exchange[i].bytes);
    }
    free(ticks);
    said("everything at once");
    return 0;
}

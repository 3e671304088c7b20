/* What every test program shares: arguments, patterns, checksums, paging out, and failing loudly.
 *
 * A program prints facts that do not depend on how memory is managed, so that its output natively
 * and under libvmalloc.so can be compared byte for byte. On a wrong byte it says so on stderr and
 * ends with status 1.
 *
 * A pattern is a function of a key and an offset: contents can be verified without a second copy.
 */
#ifndef TEST_COMMON_H
#define TEST_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KIB = 1024, MIB = 1024 * 1024, PAGE = 4096 };

/* Prints the message on stderr without touching the heap and ends the process with status 1. */
__attribute__((noreturn, format(printf, 1, 2), unused))
static void fail(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    ssize_t ignored = write(2, line, length);
    (void)ignored;
    _exit(1);
}

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: (%s) errno %d: ", __FILE__, __LINE__, #condition, errno);      \
            fail(__VA_ARGS__);                                                                     \
        }                                                                                          \
    } while (0)

/* One line of the comparable output; flushed, because a child or a crash may follow. */
__attribute__((unused)) static void said(const char *what)
{
    printf("%s: ok\n", what);
    fflush(stdout);
}

/* The splitmix64 finaliser: every bit of the result depends on every bit of x. */
__attribute__((unused)) static inline uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

__attribute__((unused)) static inline uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return mix(*state);
}

/* Uniform in [low, high]. */
__attribute__((unused)) static inline uint64_t between(uint64_t *state, uint64_t low, uint64_t high)
{
    return low + next_random(state) % (high - low + 1);
}

__attribute__((unused)) static void fill(void *block, size_t size, uint64_t key)
{
    unsigned char *bytes = block;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word = mix(key + i);
        memcpy(bytes + i, &word, 8);
    }
    uint64_t word = mix(key + i);
    memcpy(bytes + i, &word, size - i);
}

/* Verifies what fill wrote and returns a checksum of the bytes really read. */
__attribute__((unused))
static uint64_t verify(const void *block, size_t size, uint64_t key, const char *what)
{
    const unsigned char *bytes = block;
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t expected = mix(key + i), found = 0;
        size_t length = size - i < 8 ? size - i : 8;
        if (length < 8)
            expected &= (UINT64_C(1) << (8 * length)) - 1;
        memcpy(&found, bytes + i, length);
        if (found != expected)
            fail("%s: block %p, offset %zu of %zu: found %016llx, expected %016llx", what, block, i,
                 size, (unsigned long long)found, (unsigned long long)expected);
        sum += mix(found ^ i);
    }
    return sum;
}

__attribute__((unused)) static void verify_zero(const void *block, size_t size, const char *what)
{
    const unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            fail("%s: block %p, offset %zu of %zu: found %02x, expected 0", what, block, i, size,
                 bytes[i]);
}

__attribute__((unused)) static void *must_malloc(size_t size)
{
    void *block = malloc(size);
    if (block == NULL)
        fail("malloc(%zu) returned NULL: %s", size, strerror(errno));
    return block;
}

/* The argument as a number with an optional K or M, or the default when it is missing. */
__attribute__((unused))
static size_t argument(int argc, char **argv, int index, size_t otherwise)
{
    if (index >= argc)
        return otherwise;
    char *end;
    size_t value = strtoull(argv[index], &end, 0);
    if (*end == 'K')
        value *= KIB;
    else if (*end == 'M')
        value *= MIB;
    return value;
}

/* Set when the run has a bounded heap, so that "NULL must come" can be asked for. */
__attribute__((unused)) static int expect_null(void)
{
    const char *value = getenv("TEST_EXPECT_NULL");
    return value != NULL && *value == '1';
}

/* Sends everything else out of memory: writes `bytes` of heap, more than the arena holds, and
 * frees them. Natively it only costs time. */
__attribute__((unused)) static void page_out(size_t bytes)
{
    if (bytes == 0)
        return;
    volatile unsigned char *block = must_malloc(bytes);
    for (size_t i = 0; i < bytes; i += PAGE)
        block[i] = (unsigned char)(i / PAGE);
    for (size_t i = 0; i < bytes; i += PAGE)
        if (block[i] != (unsigned char)(i / PAGE))
            fail("page_out: wrong byte at offset %zu", i);
    free((void *)block);
}

__attribute__((unused))
static pthread_t start(void *(*routine)(void *), void *parameter)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, routine, parameter);
    if (error != 0)
        fail("pthread_create: %s", strerror(error));
    return thread;
}

/* How many lines a file has. */
__attribute__((unused)) static size_t lines(const char *path)
{
    size_t count = 0;
    FILE *file = fopen(path, "r");
    CHECK(file != NULL, "%s", path);
    for (int c; (c = getc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

#endif

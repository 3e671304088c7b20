/* What the applications of the external pager share: failing loudly, patterns, one page more. */
#ifndef TEST_APP_H
#define TEST_APP_H

#include "vm_app.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: (%s) errno %d: ", __FILE__, __LINE__, #condition, errno);      \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Every bit of the result depends on every bit of x (splitmix64's finaliser). */
__attribute__((unused)) static inline uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The next page; it must be there, and at the right address. */
__attribute__((unused)) static char *must_extend(unsigned number)
{
    char *page = vm_extend();
    CHECK(page == (char *)VM_ARENA_BASEADDR + (size_t)number * VM_PAGESIZE, "page %u lies at %p", number, (void *)page);
    return page;
}

/* Stores a pattern that depends on the key in a whole page. */
__attribute__((unused)) static void fill_page(char *page, uint64_t key)
{
    for (unsigned i = 0; i < VM_PAGESIZE; i += 8)
        *(uint64_t *)(page + i) = mix(key * VM_PAGESIZE + i);
}

/* Whether it is there. */
__attribute__((unused)) static void check_page(const char *page, uint64_t key)
{
    for (unsigned i = 0; i < VM_PAGESIZE; i += 8)
        CHECK(*(const uint64_t *)(page + i) == mix(key * VM_PAGESIZE + i), "wrong byte at %p (key %llu)",
              (const void *)(page + i), (unsigned long long)key);
}

__attribute__((unused)) static void check_zero(const char *page)
{
    for (unsigned i = 0; i < VM_PAGESIZE; i++)
        CHECK(page[i] == 0, "%p is not zero", (const void *)(page + i));
}

__attribute__((unused)) static unsigned argument(int argc, char **argv, int index, unsigned otherwise)
{
    return index < argc ? (unsigned)strtoul(argv[index], NULL, 0) : otherwise;
}

#endif

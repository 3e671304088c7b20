/* A library that has everything a library may do at its beginning and its end: constructors,
 * destructors, handlers at exit, an indirect function whose resolver allocates, thread-specific and
 * thread-local data with destructors. All of it allocates, verifies and frees.
 *
 * Built lazily bound (plugin.so) and bound at once (plugin-now.so, without the resolver's malloc: that
 * may not be bound yet). libraries.c loads it, and scripts/test preloads it, before ours and after.
 */
#include "../common.h"

enum { SIZE = 30000 };

static unsigned char *constructed, *resolved;
static pthread_key_t key;
static __thread unsigned char *local;
static __thread int rounds;
extern void *__dso_handle;
int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);

static uint64_t square(uint64_t x)
{
    return x * x;
}

/* Called for each relocation, and by dlsym. */
static uint64_t (*resolve(void))(uint64_t)
{
#ifdef RESOLVER_ALLOCATES
    free(resolved);
    resolved = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        resolved[i] = (unsigned char)(i % 251);
#endif
    return square;
}

uint64_t plugin_square(uint64_t x) __attribute__((ifunc("resolve")));

static void at_end(void)
{
    unsigned char *block = must_malloc(SIZE);
    fill(block, SIZE, 3);
    if (constructed != NULL)
        verify(constructed, SIZE, 1, "the constructor's block when the library ends");
    verify(block, SIZE, 3, "a block of a handler at exit");
    free(block);
}

static void end_of_specific(void *value)
{
    verify(value, SIZE, 4, "thread-specific data of a library");
    free(value);
    /* As libc runs destructors in rounds: once more. */
    if (rounds++ == 0) {
        unsigned char *block = must_malloc(SIZE);
        fill(block, SIZE, 4);
        pthread_setspecific(key, block);
    }
}

static void end_of_local(void *value)
{
    verify(value, SIZE, 5, "thread-local data of a library");
    free(value);
    local = NULL;
}

__attribute__((constructor)) static void begin(void)
{
    constructed = must_malloc(SIZE);
    fill(constructed, SIZE, 1);
    CHECK(pthread_key_create(&key, end_of_specific) == 0, "pthread_key_create");
    atexit(at_end);
}

__attribute__((destructor)) static void end(void)
{
    verify(constructed, SIZE, 1, "the constructor's block");
    free(constructed);
    constructed = NULL;
    if (resolved != NULL)
        for (int i = 0; i < SIZE; i++)
            CHECK(resolved[i] == i % 251, "the resolver's block, byte %d", i);
    free(resolved);
    pthread_key_delete(key);
    free(realloc(malloc(10), SIZE));
}

/* Leaves data for both kinds of destructors in the calling thread; a checksum. */
uint64_t plugin_work(uint64_t number)
{
    if (local == NULL) {
        local = must_malloc(SIZE);
        fill(local, SIZE, 5);
        CHECK(__cxa_thread_atexit_impl(end_of_local, local, &__dso_handle) == 0, "__cxa_thread_atexit_impl");
    }
    if (pthread_getspecific(key) == NULL) {
        unsigned char *block = must_malloc(SIZE);
        fill(block, SIZE, 4);
        pthread_setspecific(key, block);
    }
    return verify(constructed, SIZE, 1, "the constructor's block") + plugin_square(number);
}

/* Nothing that outlives the call. */
uint64_t plugin_touch(uint64_t number)
{
    unsigned char *block = must_malloc(SIZE);
    fill(block, SIZE, number);
    uint64_t sum = verify(block, SIZE, number, "a block of a library") + plugin_square(number);
    free(block);
    return sum;
}

/* A block for the caller to free, one to be freed here, and one to be enlarged. */
void *plugin_make(size_t size, uint64_t number)
{
    void *block = must_malloc(size);
    fill(block, size, number);
    return block;
}

uint64_t plugin_take(void *block, size_t size, uint64_t number)
{
    uint64_t sum = verify(block, size, number, "a block that was handed to a library");
    free(block);
    return sum;
}

void *plugin_grow(void *block, size_t size)
{
    return realloc(block, size);
}

/* The library's own system calls, into and out of the caller's memory. */
ssize_t plugin_transfer(int *ends, void *from, void *to, size_t size)
{
    return write(ends[1], from, size) == (ssize_t)size ? read(ends[0], to, size) : -1;
}

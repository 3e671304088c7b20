/* Puts as much of a program's memory as can be put there into malloc'ed blocks: for programs that
 * allocate too little to be paged. A library to preload before libvmalloc.so, and natively too: then both
 * runs differ in nothing but who implements malloc.
 *
 * - The stack of main, its arguments and environment, and the stacks of the first threads.
 * - Anonymous private mappings of up to 1 MiB that the program asks for without an address.
 * - At the start, ONTO_HEAP_FILL bytes (none if not set) are written and given back: more than the
 *   arena, so that pages have been absent before main begins. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, MAIN_STACK = 512 << 10, THREAD_STACK = 128 << 10, THREADS = 32, LARGEST = 1 << 20, MAPPINGS = 1024 };

/* The blocks that are mappings: who exchanges the address may change the entry. */
static struct {
    _Atomic(char *) address;
    size_t length;
} mappings[MAPPINGS];

static size_t whole_pages(size_t length)
{
    return (length + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static char *block_of_pages(size_t length)
{
    char *block = aligned_alloc(PAGE, length);
    if (block)
        memset(block, 0, length);
    return block;
}

/* Notes a mapping; false if there are too many. */
static int note(char *block, size_t length)
{
    for (int i = 0; i < MAPPINGS; i++) {
        char *none = NULL;
        if (mappings[i].length == 0 && atomic_compare_exchange_strong(&mappings[i].address, &none, block)) {
            mappings[i].length = length;
            return 1;
        }
    }
    return 0;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    void *(*plain)(void *, size_t, int, int, int, off_t) = next("mmap");
    if (address == NULL && length > 0 && length <= LARGEST && (flags & ~MAP_NORESERVE) == (MAP_PRIVATE | MAP_ANONYMOUS)) {
        char *block = block_of_pages(whole_pages(length));
        if (block && protection != (PROT_READ | PROT_WRITE) && mprotect(block, whole_pages(length), protection) != 0) {
            free(block);
            block = NULL;
        }
        if (block && note(block, whole_pages(length)))
            return block;
        free(block);
    }
    return plain(address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return mmap(address, length, protection, flags, fd, offset);
}

int munmap(void *address, size_t length)
{
    int (*plain)(void *, size_t) = next("munmap");
    for (int i = 0; address && i < MAPPINGS; i++) {
        char *block = address;
        size_t whole = mappings[i].length;
        if (mappings[i].address != block || whole != whole_pages(length))
            continue;
        /* A part of it may have gone already: then it stays a hole for ever. */
        if (mprotect(block, whole, PROT_READ | PROT_WRITE) != 0)
            break;
        if (atomic_compare_exchange_strong(&mappings[i].address, &block, NULL)) {
            mappings[i].length = 0;
            free(address);
            return 0;
        }
    }
    return plain(address, length);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    static atomic_int threads;
    int (*plain)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = next("pthread_create");
    pthread_attr_t own;
    void *stack = NULL;
    size_t size = THREAD_STACK;
    if (attributes)
        own = *attributes;
    else
        pthread_attr_init(&own);
    pthread_attr_getstack(&own, &stack, &size);
    if ((uintptr_t)stack + size != 0 || atomic_fetch_add(&threads, 1) >= THREADS)
        return plain(thread, attributes, start, argument);
    size = size > THREAD_STACK ? THREAD_STACK : whole_pages(size);
    stack = block_of_pages(size);
    if (stack == NULL || pthread_attr_setstack(&own, stack, size) != 0)
        return plain(thread, attributes, start, argument);
    /* The stack is never given back: nobody here knows when its thread has ended. */
    return plain(thread, &own, start, argument);
}

static struct {
    int (*main)(int, char **, char **);
    int argc, status;
    char **argv, **environment;
    ucontext_t outside, inside;
} program;

static char **copies(char **strings)
{
    size_t n = 0;
    while (strings[n])
        n++;
    char **list = malloc((n + 1) * sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = strdup(strings[i]);
    list[n] = NULL;
    return list;
}

static void inside(void)
{
    program.status = program.main(program.argc, program.argv, program.environment);
}

static int moved_main(int argc, char **argv, char **environment)
{
    const char *fill = getenv("ONTO_HEAP_FILL");
    size_t bytes = fill ? strtoul(fill, NULL, 10) : 0;
    char *block = bytes ? malloc(bytes) : NULL;
    for (size_t at = 0; block && at < bytes; at += PAGE)
        *(volatile char *)(block + at) = 1;
    free(block);
    program.argc = argc;
    program.argv = copies(argv);
    environ = program.environment = copies(environment);
    getcontext(&program.inside);
    program.inside.uc_stack.ss_sp = block_of_pages(MAIN_STACK);
    program.inside.uc_stack.ss_size = MAIN_STACK;
    program.inside.uc_link = &program.outside;
    makecontext(&program.inside, inside, 0);
    swapcontext(&program.outside, &program.inside);
    return program.status;
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    int (*plain)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *) =
        next("__libc_start_main");
    program.main = main;
    return plain(moved_main, argc, argv, init, fini, rtld_fini, stack_end);
}

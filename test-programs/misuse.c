/* Question: is a wrong free reported with its address, and the program aborted, instead of the heap
 * being damaged?
 *
 * Prints the address that it is about to misuse; a run that reaches "survived" has failed.
 * usage: misuse double|double-large|double-paged-out|middle|middle-large|stack|static|foreign|
 *               realloc-foreign|realloc-freed|other-thread|mydeallocate|unaligned
 */
#include "common.h"

#include <sys/mman.h>

extern void mydeallocate(void *, const char *, int, int) __attribute__((weak));

static char static_bytes[64];

/* Hides a pointer from the compiler's own judgement. */
static void *hidden(void *pointer)
{
    __asm__("" : "+r"(pointer));
    return pointer;
}

static void announce(void *pointer)
{
    printf("%p\n", pointer);
    fflush(stdout);
}

static void free_twice(size_t size, size_t churn)
{
    void *block = hidden(must_malloc(size));
    memset(block, 1, size);
    page_out(churn);
    announce(block);
    free(block);
    free(hidden(block));
}

static void free_inside(size_t size, size_t offset)
{
    char *block = hidden(must_malloc(size));
    memset(block, 1, size);
    announce(block + offset);
    free(hidden(block + offset));
}

static void *free_again(void *block)
{
    free(block);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    char local[64] = "on the stack";
    free(hidden(must_malloc(10)));
    if (strcmp(mode, "double") == 0) {
        free_twice(40, 0);
    } else if (strcmp(mode, "double-large") == 0) {
        free_twice(3 * MIB, 0);
    } else if (strcmp(mode, "double-paged-out") == 0) {
        free_twice(200000, 12 * MIB);
    } else if (strcmp(mode, "middle") == 0) {
        free_inside(4000, 160);
    } else if (strcmp(mode, "middle-large") == 0) {
        free_inside(2 * MIB, 1 * MIB);
    } else if (strcmp(mode, "unaligned") == 0) {
        free_inside(200, 3);
    } else if (strcmp(mode, "stack") == 0) {
        announce(local);
        free(hidden(local));
    } else if (strcmp(mode, "static") == 0) {
        announce(static_bytes + 16);
        free(hidden(static_bytes + 16));
    } else if (strcmp(mode, "foreign") == 0) {
        char *page = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        announce(page + PAGE);
        free(hidden(page + PAGE));
    } else if (strcmp(mode, "realloc-foreign") == 0) {
        announce(local + 16);
        static_bytes[0] = realloc(hidden(local + 16), 100) != NULL;
    } else if (strcmp(mode, "realloc-freed") == 0) {
        void *block = hidden(must_malloc(100));
        announce(block);
        free(block);
        static_bytes[0] = realloc(hidden(block), 200) != NULL;
    } else if (strcmp(mode, "other-thread") == 0) {
        void *block = hidden(must_malloc(300));
        announce(block);
        pthread_join(start(free_again, block), NULL);
        pthread_join(start(free_again, hidden(block)), NULL);
    } else if (strcmp(mode, "mydeallocate") == 0) {
        announce(local + 32);
        if (mydeallocate == NULL)
            abort();
        mydeallocate(hidden(local + 32), "some_file.c", 4711, 0);
    } else {
        fail("unknown mode '%s'", mode);
    }
    printf("survived\n");
    return 0;
}

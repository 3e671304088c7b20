/* Question: is a block of the C library's malloc under its own names (__libc_malloc and relatives) one block with those of
 * malloc? Whoever wraps malloc asks by these names, and frees by either.
 *
 * usage: libc_names [BYTES]      so many are touched between asking and freeing
 */
#include "common.h"

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void *__libc_valloc(size_t);
extern void *__libc_pvalloc(size_t);
extern void __libc_free(void *);

enum { FORMS = 7 };

static void *ask(int form, size_t size)
{
    switch (form) {
    case 0: return __libc_malloc(size);
    case 1: return __libc_calloc(1, size);
    case 2: return __libc_realloc(malloc(size / 2), size);
    case 3: return __libc_memalign(4096, size);
    case 4: return __libc_valloc(size);
    case 5: return __libc_pvalloc(size);
    default: return malloc(size);
    }
}

static void give(int form, void *block, size_t size)
{
    if (form % 3 == 0)
        free(block);
    else if (form % 3 == 1)
        __libc_free(block);
    else
        __libc_free(realloc(block, 2 * size));
}

int main(int argc, char **argv)
{
    size_t churn = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    for (int form = 0; form < FORMS; form++)
        for (int last = 0; last < 3; last++)
            for (size_t size = 10; size < 1000000; size *= 7) {
                unsigned char *block = ask(form, size);
                if (block == NULL || malloc_usable_size(block) < size || (form >= 3 && form < 6 && (uintptr_t)block % 4096 != 0))
                    fail("form %d does not give %zu bytes", form, size);
                memset(block, form + 1, size);
                page_out(churn);
                for (size_t i = 0; i < size; i++)
                    if (block[i] != form + 1)
                        fail("form %d: byte %zu of %zu is another", form, i, size);
                give(last, block, size);
            }
    puts("every block is one of the one heap");
    return 0;
}

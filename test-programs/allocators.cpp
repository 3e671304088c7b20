/* Question: does a block go back to the allocator that it came from, when several are in the process? It is asked for
 * by every form of malloc and new, of many lengths; it keeps its bytes while others are touched, and is given back by every
 * form of free and delete that takes it. Linked with another allocator, or run with one preloaded before or behind the library,
 * the program is to print the same.
 *
 * usage: allocators [BYTES]      so many are touched between asking and giving back
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <malloc.h>
#include <new>
#include <thread>

/* Hides a pointer from the compiler, which knows what belongs together. */
static void *hidden(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static const std::align_val_t WIDE{256};

struct form {
    const char *name;
    void *(*ask)(size_t);
    void (*give)(void *, size_t);
};

#define ASK(...) [](size_t n) -> void * { (void)n; return __VA_ARGS__; }
#define GIVE(...) [](void *block, size_t n) { (void)n; __VA_ARGS__; }

static void *by_posix_memalign(size_t n)
{
    void *block;
    return posix_memalign(&block, 64, n) == 0 ? block : nullptr;
}

static const form forms[] = {
    {"malloc and free", ASK(malloc(n)), GIVE(free(block))},
    {"calloc and free", ASK(calloc(n, 1)), GIVE(free(block))},
    {"malloc, realloc and free", ASK(realloc(malloc(n / 2), n)), GIVE(free(realloc(block, 2 * n)))},
    {"reallocarray and realloc", ASK(reallocarray(nullptr, n, 1)), GIVE(free(realloc(block, n / 2 + 1)))},
    {"malloc and reallocarray", ASK(malloc(n)), GIVE(free(reallocarray(block, n, 2)))},
    {"memalign and free", ASK(memalign(64, n)), GIVE(free(block))},
    {"aligned_alloc and realloc", ASK(aligned_alloc(64, n)), GIVE(free(realloc(block, 3 * n)))},
    {"posix_memalign and free", by_posix_memalign, GIVE(free(block))},
    {"valloc and free", ASK(valloc(n)), GIVE(free(block))},
    {"new and delete", ASK(operator new(n)), GIVE(operator delete(block))},
    {"new and sized delete", ASK(operator new(n)), GIVE(operator delete(block, n))},
    {"new[] and delete[]", ASK(operator new[](n)), GIVE(operator delete[](block))},
    {"new[] and sized delete[]", ASK(operator new[](n)), GIVE(operator delete[](block, n))},
    {"nothrow", ASK(operator new(n, std::nothrow)), GIVE(operator delete(block, std::nothrow))},
    {"nothrow[]", ASK(operator new[](n, std::nothrow)), GIVE(operator delete[](block, std::nothrow))},
    {"aligned", ASK(operator new(n, WIDE)), GIVE(operator delete(block, WIDE))},
    {"aligned and sized", ASK(operator new(n, WIDE)), GIVE(operator delete(block, n, WIDE))},
    {"aligned[]", ASK(operator new[](n, WIDE)), GIVE(operator delete[](block, WIDE))},
    {"aligned[] and sized", ASK(operator new[](n, WIDE)), GIVE(operator delete[](block, n, WIDE))},
    {"aligned, nothrow", ASK(operator new(n, WIDE, std::nothrow)), GIVE(operator delete(block, WIDE, std::nothrow))},
    /* Not what C++ allows, but it works wherever new asks malloc. */
    {"new and free", ASK(operator new(n)), GIVE(free(block))},
    {"new, realloc and free", ASK(operator new(n)), GIVE(free(realloc(block, 2 * n)))},
};

static const size_t sizes[] = {1, 24, 200, 1000, 5000, 20000, 70000, 400000, 3000000};

static void check(const form &form, size_t push)
{
    void *blocks[sizeof sizes / sizeof *sizes];
    size_t at = 0;
    for (size_t n : sizes) {
        blocks[at] = hidden(form.ask(n));
        if (blocks[at] == nullptr || malloc_usable_size(blocks[at]) < n)
            printf("%s: %zu bytes are not there\n", form.name, n), exit(1);
        memset(blocks[at], 0x40 + (int)at, n);
        at++;
    }
    char *ballast = static_cast<char *>(malloc(push + 1));
    for (size_t i = 0; i < push; i += 4096)
        ballast[i] = 1;
    free(hidden(ballast));
    at = 0;
    for (size_t n : sizes) {
        const unsigned char *bytes = static_cast<unsigned char *>(blocks[at]);
        for (size_t i = 0; i < n; i++)
            if (bytes[i] != 0x40 + at)
                printf("%s: byte %zu of %zu is another\n", form.name, i, n), exit(1);
        form.give(blocks[at], n);
        at++;
    }
}

int main(int argc, char **argv)
{
    size_t push = argc > 1 ? strtoul(argv[1], nullptr, 10) : 0;
    for (const form &form : forms) {
        check(form, push);
        /* A block may be given back by another thread, too. */
        void *block = hidden(form.ask(3000));
        std::thread([&] { form.give(block, 3000); }).join();
        printf("%s: ok\n", form.name);
    }
    return 0;
}

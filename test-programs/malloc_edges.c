/* Question: does every function of the malloc family behave at its edges as glibc's does?
 *
 * One line is printed for each group that holds. usage: malloc_edges
 */
#include "common.h"

static const size_t huge[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX - 15, SIZE_MAX};
enum { HUGES = sizeof huge / sizeof *huge };

/* Hides a value from the compiler, which would otherwise judge these calls itself. */
static size_t opaque(size_t value)
{
    static volatile size_t hidden;
    hidden = value;
    return hidden;
}

static void write_usable(void *block, size_t size, size_t alignment, const char *what)
{
    CHECK(block != NULL, "%s(%zu) is NULL", what, size);
    CHECK((uintptr_t)block % alignment == 0, "%s(%zu): %p not aligned to %zu", what, size, block, alignment);
    size_t usable = malloc_usable_size(block);
    CHECK(usable >= size, "%s(%zu): usable size %zu", what, size, usable);
    fill(block, usable, size);
    verify(block, usable, size, what);
}

static void sizes(void)
{
    enum { KEEP = 64 };
    void *kept[KEEP] = {0};
    for (size_t size = 0; size < 3 * PAGE; size += size < 1200 ? 1 : 37) {
        void **slot = &kept[size % KEEP];
        free(*slot);
        *slot = malloc(size);
        write_usable(*slot, size, 16, "malloc");
        void *zeroed = calloc(size, 1);
        CHECK(zeroed != NULL && (uintptr_t)zeroed % 16 == 0, "calloc(%zu)", size);
        verify_zero(zeroed, malloc_usable_size(zeroed) ? size : 0, "calloc");
        write_usable(zeroed, size, 16, "calloc");
        free(zeroed);
    }
    for (int i = 0; i < KEEP; i++)
        free(kept[i]);
    said("sizes, alignment 16, usable bytes");
}

static void zero_and_null(void)
{
    void *a = malloc(opaque(0)), *b = malloc(opaque(0)), *c = calloc(opaque(0), 8), *d = calloc(8, opaque(0));
    CHECK(a && b && c && d, "a zero size gave NULL");
    CHECK(a != b && b != c && c != d && a != c && a != d && b != d, "two zero sizes share an address");
    free(a), free(b), free(c), free(d);
    free(NULL);
    CHECK(malloc_usable_size(NULL) == 0, "malloc_usable_size(NULL)");
    void *block = realloc(NULL, opaque(100));
    write_usable(block, 100, 16, "realloc(NULL)");
    CHECK(realloc(block, opaque(0)) == NULL, "realloc(p, 0) frees and gives NULL");
    block = realloc(NULL, opaque(0));
    CHECK(block != NULL, "realloc(NULL, 0) is malloc(0)");
    free(block);
    CHECK(reallocarray(malloc(8), opaque(0), 8) == NULL, "reallocarray(p, 0, n)");
    said("zero sizes and NULL");
}

static void realloc_keeps(void)
{
    static const size_t steps[] = {1, 15, 16, 17, 1000, 24, 4096, 4097, 100000, 70000, 1000000, 999, 300000, 5};
    size_t size = 13;
    unsigned char *block = must_malloc(size);
    fill(block, size, 5);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        block = realloc(block, steps[i]);
        size_t kept = size < steps[i] ? size : steps[i];
        verify(block, kept / 8 * 8, 5, "realloc");
        CHECK((uintptr_t)block % 16 == 0, "realloc alignment");
        size = steps[i];
        fill(block, size, 5);
    }
    block = reallocarray(block, 300, 40);
    CHECK(block != NULL && malloc_usable_size(block) >= 12000, "reallocarray");
    free(block);
    void *aligned = memalign(8192, 100);
    fill(aligned, 96, 9);
    aligned = realloc(aligned, 50000);
    verify(aligned, 96, 9, "realloc of an aligned block");
    free(aligned);
    said("realloc keeps contents");
}

/* `call` must give NULL and ENOMEM. */
#define NO_MEMORY(call)                                                                            \
    do {                                                                                           \
        errno = 0;                                                                                 \
        void *result = (call);                                                                     \
        CHECK(result == NULL && errno == ENOMEM, #call " gave %p", result);                        \
    } while (0)

/* The compiler takes it that posix_memalign leaves errno alone; glibc's says there that it has no memory. */
static int (*volatile aligned_block)(void **, size_t, size_t) = posix_memalign;

static void too_much(void)
{
    unsigned char *block = must_malloc(100);
    fill(block, 96, 3);
    for (int i = 0; i < HUGES; i++) {
        size_t size = opaque(huge[i]);
        NO_MEMORY(malloc(size));
        NO_MEMORY(calloc(size, 1));
        NO_MEMORY(calloc(1, size));
        NO_MEMORY(realloc(NULL, size));
        NO_MEMORY(realloc(block, size));
        NO_MEMORY(reallocarray(block, size, 1));
        NO_MEMORY(memalign(64, size));
        NO_MEMORY(aligned_alloc(4096, size));
        NO_MEMORY(valloc(size));
        NO_MEMORY(pvalloc(size));
        void *untouched = block;
        errno = 0;
        CHECK(aligned_block(&untouched, 64, size) == ENOMEM && errno == ENOMEM, "posix_memalign of %zx", size);
        CHECK(untouched == (void *)block, "posix_memalign of %zx touched the pointer", size);
    }
    size_t half = opaque(SIZE_MAX / 2 + 1);
    NO_MEMORY(calloc(half, 2));
    NO_MEMORY(calloc(opaque(UINT64_C(1) << 32), opaque(UINT64_C(1) << 32)));
    NO_MEMORY(reallocarray(block, half, 2));
    NO_MEMORY(reallocarray(NULL, opaque(SIZE_MAX / 3), 4));
    verify(block, 96, 3, "a block whose realloc failed");
    free(block);
    said("overflow and impossible sizes: NULL and ENOMEM");
}

/* The first block of a thread, which may lie at the start of memory of its own. */
static void *first_block(void *alignment)
{
    void *block = memalign((uintptr_t)alignment, 8);
    CHECK((uintptr_t)block % (uintptr_t)alignment == 0, "memalign(%zx) gave %p", (uintptr_t)alignment, block);
    free(block);
    return NULL;
}

static void large_alignments(void)
{
    for (uintptr_t alignment = MIB; alignment <= (uintptr_t)1 << 46; alignment *= 2) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, first_block, (void *)alignment) == 0, "pthread_create");
        pthread_join(thread, NULL);
    }
    static const size_t far[] = {(size_t)1 << 47, ((size_t)1 << 62) + 1, SIZE_MAX / 2, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        NO_MEMORY(memalign(opaque(far[i]), 8));
        NO_MEMORY(aligned_alloc(opaque(far[i]), 8));
    }
    errno = 0;
    CHECK(memalign(opaque(SIZE_MAX / 2 + 2), 8) == NULL && errno == EINVAL, "memalign beyond the last power of two");
    said("alignments larger than the heap");
}

static void alignments(void)
{
    for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 2)
        for (size_t size = 1; size <= 100000; size = size * 17 + 1) {
            void *block = memalign(alignment, size);
            write_usable(block, size, alignment, "memalign");
            void *second = NULL;
            CHECK(posix_memalign(&second, alignment, size) == 0, "posix_memalign(%zu, %zu)", alignment, size);
            write_usable(second, size, alignment, "posix_memalign");
            verify(block, size, size, "memalign after posix_memalign");
            free(block);
            block = aligned_alloc(alignment, alignment);
            write_usable(block, alignment <= MIB ? alignment : 1, alignment, "aligned_alloc");
            free(second);
            free(block);
        }
    void *odd = memalign(opaque(48), 10);   /* glibc takes the next power of two */
    write_usable(odd, 10, 64, "memalign(48)");
    free(odd);
    size_t page = sysconf(_SC_PAGESIZE);
    void *block = valloc(10);
    write_usable(block, 10, page, "valloc");
    free(block);
    block = pvalloc(opaque(page + 1));
    write_usable(block, 2 * page, page, "pvalloc");
    free(block);
    said("alignments to 4 MiB, valloc, pvalloc");
}

static void bad_alignments(void)
{
    static const size_t bad[] = {0, 1, 2, 3, 4, 7, 9, 12, 24, 40, 48, 4095, 4097, 12288};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *untouched = &untouched;
        errno = 77;
        int error = posix_memalign(&untouched, opaque(bad[i]), 100);
        CHECK(error == EINVAL, "posix_memalign(%zu) gave %d", bad[i], error);
        CHECK(errno == 77 && untouched == (void *)&untouched, "posix_memalign(%zu) touched errno or the pointer", bad[i]);
    }
    said("posix_memalign: EINVAL");
}

static void errno_is_kept(void)
{
    static const size_t some[] = {1, 100, 5000, 200000, 3000000};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        void *block = must_malloc(some[i]);
        memset(block, 1, some[i]);
        errno = 12345;
        free(block);
        CHECK(errno == 12345, "free changed errno");
        block = malloc(some[i]);
        CHECK(block != NULL && errno == 12345, "a malloc that worked changed errno");
        free(block);
    }
    said("errno kept");
}

static void libc_users(void)
{
    char *text = NULL, *line = NULL;
    size_t capacity = 0;
    CHECK(asprintf(&text, "%s-%d", "text", 42) == 7, "asprintf");
    char *copy = strdup(text);
    CHECK(strcmp(copy, "text-42") == 0, "strdup");
    FILE *memory = open_memstream(&line, &capacity);
    for (int i = 0; i < 20000; i++)
        fprintf(memory, "%d,", i);
    fclose(memory);
    CHECK(capacity == 108890 && strncmp(line + capacity - 7, ",19999,", 7) == 0, "open_memstream: %zu", capacity);
    free(line), free(copy), free(text);
    said("strdup, asprintf, open_memstream");
}

int main(void)
{
    sizes();
    zero_and_null();
    realloc_keeps();
    too_much();
    alignments();
    large_alignments();
    bad_alignments();
    errno_is_kept();
    libc_users();
    CHECK(malloc_trim(0) == 0 || 1, "malloc_trim");
    struct mallinfo2 info = mallinfo2();
    (void)info;
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1, "mallopt");
    return 0;
}

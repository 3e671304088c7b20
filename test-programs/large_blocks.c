/* Question: do blocks of thousands of pages stay right through calloc, sparse touching, realloc
 * growth and shrinking, overlapping moves and copies, and is memory zero when it comes again?
 *
 * usage: large_blocks [bytes]   (about this much is in use at any time)
 */
#include "common.h"

static uint64_t sum;

static void sparse_calloc(size_t bytes)
{
    unsigned char *block = calloc(bytes / 16, 16);
    CHECK(block != NULL, "calloc(%zu)", bytes);
    for (size_t i = 0; i < bytes; i += 64 * PAGE)
        block[i + i / PAGE % PAGE] = 1 + i / PAGE % 255;
    for (size_t i = 0; i < bytes; i++)
        if (i % (64 * PAGE) != i / (64 * PAGE) * 64 % PAGE)
            CHECK(block[i] == 0, "calloc: offset %zu is %02x", i, block[i]);
        else
            sum += block[i] * i;
    free(block);
}

static void dirty_calloc(size_t bytes)
{
    void *block = must_malloc(bytes);
    memset(block, 0xa5, bytes);
    free(block);
    block = calloc(1, bytes);
    CHECK(block != NULL, "calloc(%zu)", bytes);
    verify_zero(block, bytes, "calloc after free");
    free(block);
    /* A block that shrinks and grows again through calloc's neighbours. */
    for (size_t size = 1; size < 4 * PAGE; size += 577) {
        unsigned char *dirty = must_malloc(size), *clean;
        memset(dirty, 0xff, size);
        free(dirty);
        clean = calloc(size, 1);
        CHECK(clean != NULL, "calloc(%zu)", size);
        verify_zero(clean, size, "small calloc after free");
        free(clean);
    }
}

/* Grows a block in uneven steps; what was there must still be there. */
static void grow_and_shrink(size_t bytes)
{
    size_t size = 100;
    unsigned char *block = must_malloc(size);
    fill(block, size, 7);
    while (size < bytes) {
        size_t larger = size + size / 2 + 4099;
        if (larger > bytes)
            larger = bytes;
        unsigned char *moved = realloc(block, larger);
        CHECK(moved != NULL, "realloc(%zu)", larger);
        block = moved;
        sum += verify(block, size, 7, "realloc growth");
        fill(block, larger, 7);
        size = larger;
    }
    while (size > 64) {
        size_t smaller = size / 3;
        unsigned char *moved = realloc(block, smaller);
        CHECK(moved != NULL, "realloc(%zu)", smaller);
        block = moved;
        sum += verify(block, smaller, 7, "realloc shrink");
        size = smaller;
    }
    free(block);
}

/* memmove by odd distances inside a block, up and down. */
static void move_inside(size_t bytes)
{
    unsigned char *block = must_malloc(bytes);
    size_t length = bytes * 3 / 4;
    fill(block, length, 11);
    memmove(block + bytes / 4 - 3, block, length);
    sum += verify(block + bytes / 4 - 3, length, 11, "memmove up");
    memmove(block + 4097, block + bytes / 4 - 3, length);
    sum += verify(block + 4097, length, 11, "memmove down");
    free(block);
}

static void copy_between(size_t bytes)
{
    unsigned char *from = must_malloc(bytes), *to = must_malloc(bytes);
    fill(from, bytes, 13);
    memcpy(to, from, bytes);
    memset(from, 0, bytes);
    sum += verify(to, bytes, 13, "memcpy");
    verify_zero(from, bytes, "memset 0");
    /* Backwards and with a stride, one byte a page: the worst order for read-ahead. */
    for (size_t stride = 1; stride < 8; stride += 3)
        for (size_t i = bytes; i > stride * PAGE; i -= stride * PAGE)
            from[i - 1] += 1;
    for (size_t i = bytes; i > PAGE; i -= PAGE)
        sum = mix(sum + from[i - 1]);
    CHECK(memcmp(from, to, bytes) != 0, "the copies became equal");
    free(from);
    free(to);
}

int main(int argc, char **argv)
{
    size_t bytes = argument(argc, argv, 1, 16 * MIB);
    sparse_calloc(bytes);
    dirty_calloc(bytes);
    grow_and_shrink(bytes / 2);
    move_inside(bytes);
    copy_between(bytes / 2);
    printf("large_blocks %zu bytes: %016llx\n", bytes, (unsigned long long)sum);
    return 0;
}

/* Can an application be a program whose heap is paged by libvmalloc.so as well?
 *
 *   paged_heap [BYTES] [PAGES]       so much from malloc, and so many pages of the arena, one against the other
 */
#include "app.h"

int main(int argc, char **argv)
{
    size_t bytes = argument(argc, argv, 1, 12 << 20);
    unsigned pages = argument(argc, argv, 2, 20);
    setenv("PAGED_HEAP", "the environment lies in the heap now", 1);
    uint64_t *heap = malloc(bytes);
    CHECK(heap != NULL, "malloc");
    for (size_t i = 0; i < bytes / 8; i++)
        heap[i] = mix(i);
    char *arena = VM_ARENA_BASEADDR;
    for (unsigned i = 0; i < pages; i++) {
        must_extend(i);
        /* From one paged memory to the other, and back. */
        memcpy(arena + (size_t)i * VM_PAGESIZE, heap + (size_t)i * 50000, VM_PAGESIZE);
        vm_yield();
    }
    for (unsigned i = 0; i < pages; i++)
        memcpy(heap + (size_t)i * 50000, arena + (size_t)(pages - 1 - i) * VM_PAGESIZE, VM_PAGESIZE);
    for (size_t i = 0; i < bytes / 8; i++) {
        size_t block = i / 50000, offset = i % 50000;
        uint64_t expected = block < pages && offset < VM_PAGESIZE / 8 ? mix((pages - 1 - block) * 50000 + offset) : mix(i);
        CHECK(heap[i] == expected, "word %zu of the heap", i);
    }
    free(heap);
    puts("paged heap: ok");
}

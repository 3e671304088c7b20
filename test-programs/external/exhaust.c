/* Does vm_extend end with NULL exactly when the disk is used up, and is everything before it usable?
 *
 *   exhaust BLOCKS       so many blocks are free
 */
#include "app.h"

int main(int argc, char **argv)
{
    unsigned blocks = argument(argc, argv, 1, 0), pages = 0;
    char *page;
    while ((page = vm_extend()) != NULL) {
        CHECK(page == (char *)VM_ARENA_BASEADDR + (size_t)pages * VM_PAGESIZE, "page %u lies at %p", pages, (void *)page);
        pages++;
    }
    CHECK(errno == ENOSPC, "another errno than ENOSPC");
    CHECK(pages == blocks, "%u pages, not %u", pages, blocks);
    CHECK(vm_extend() == NULL, "a page after the last");
    char *arena = VM_ARENA_BASEADDR;
    for (unsigned i = 0; i < pages; i++)
        fill_page(arena + (size_t)i * VM_PAGESIZE, i);
    for (unsigned i = 0; i < pages; i++)
        check_page(arena + (size_t)i * VM_PAGESIZE, i);
    printf("%u pages, then NULL: ok\n", pages);
}

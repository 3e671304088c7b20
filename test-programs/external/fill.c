/* Does an application keep its data when it has more pages than there is memory, and is a page that was never
 * written zero, whatever was read before?
 *
 *   fill [PAGES] [ROUNDS] [YIELD]      YIELD: give the processor up after every page
 */
#include "app.h"

int main(int argc, char **argv)
{
    unsigned pages = argument(argc, argv, 1, 20), rounds = argument(argc, argv, 2, 3), yield = argument(argc, argv, 3, 0);
    uint64_t me = (uint64_t)getpid() << 20;

    for (unsigned i = 0; i < pages; i++) {
        char *page = must_extend(i);
        /* Every third is written first, every third read first, every third left alone. */
        if (i % 3 == 0)
            fill_page(page, me + i);
        if (i % 3 == 1)
            check_zero(page);
        if (yield)
            vm_yield();
    }
    char *arena = VM_ARENA_BASEADDR;
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < pages; i++) {
            char *page = arena + (size_t)i * VM_PAGESIZE;
            if (round == 0 && i % 3 != 0)
                check_zero(page);
            else
                check_page(page, me + i + round * pages);
            fill_page(page, me + i + (round + 1) * pages);
            if (yield)
                vm_yield();
        }
    }
    for (unsigned i = pages; i-- > 0;)
        check_page(arena + (size_t)i * VM_PAGESIZE, me + i + rounds * pages);
    printf("%u pages, %u rounds: ok\n", pages, rounds);
}

/* random_access: what does one access cost when a program touches more memory than it has?
 *
 * An ordinary malloc program. It fills PAGES pages (not timed), then writes to random ones (timed). The cost of a fault is
 * ns / the swap-ins that the pager's statistics count between the two.
 *
 * random_access [PAGES] [ACCESSES] */
#include "random_pages.h"

int main(int argc, char **argv) {
    size_t pages = argument(argc, argv, 1, 5120), accesses = argument(argc, argv, 2, 100000);
    uint64_t *base = must(malloc(pages * PAGE + PAGE), "malloc");
    uint64_t *aligned = (uint64_t *)(((uintptr_t)base + PAGE - 1) & ~(uintptr_t)(PAGE - 1));

    fill_pages(aligned, pages);
    uint64_t ns = access_pages(aligned, pages, accesses);
    printf("ns=%" PRIu64 " ops=%zu\n", ns, accesses);
    free(base);
}

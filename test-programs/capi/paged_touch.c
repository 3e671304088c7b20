/* Are plain touches of a region mapped, and unmapped, as the course's document prints it?
 *
 *     paged_touch NAME MAX_PAGES [files]
 *
 * With 20 pages nothing leaves; with 3 the fourth page unmaps the first, which then comes back with what it
 * held. The output is the document's. */
#include "../common.h"
#include <paged_region.h>

enum { PAGES = 20 };
static const uintptr_t BASE = 0xf9f8c000;

static void mapped(void *address, int page, int unmapped, void *name)
{
    printf("PMC-%s Mapped page %d for address 0x%lx.", (char *)name, page, (unsigned long)address);
    if (unmapped >= 0)
        printf("  Unmapped %d.", unmapped);
    printf("\n");
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3, "usage: paged_touch NAME MAX_PAGES [files]");
    struct paged_region_options options = {
        .base = (void *)BASE, .pages = PAGES, .max_pages = atoi(argv[2]), .callback = mapped, .context = argv[1],
        .protection = PAGED_READ | PAGED_WRITE | PAGED_EXEC, .backing = argc > 3 ? PAGED_FILES : PAGED_SWAP,
    };
    /* Destroyed and made again: it is as new. */
    paged_region_callback *callback = options.callback;
    options.callback = NULL;
    struct paged_region *region = paged_region_create(&options);
    CHECK(region && paged_region_base(region) == (void *)BASE, "no region");
    memset((void *)BASE, 7, PAGES * PAGE);
    CHECK(paged_region_destroy(region) == 0, "it was there");
    options.callback = callback;
    region = paged_region_create(&options);
    CHECK(region, "no second region");

    volatile uint64_t *top = (void *)(BASE + 0x13ff8);
    volatile char *memory = (void *)BASE;
    CHECK(*top == 0, "not zero");
    *top = 0x1122334455667788;
    CHECK(memory[0] == 0, "not zero");
    memory[0] = 1;
    memory[0x1000] = 2;
    memory[0x12fff] = 3;
    if (options.max_pages < PAGES) {
        CHECK(memory[0x13000] == 0, "not zero");
        CHECK(*top == 0x1122334455667788, "the page came back with something else");
    }
    printf("done\n");
    return 0;
}

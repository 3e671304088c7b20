/* Is anything lost when the disk fails? To be run with failing reads or writes of the swap file (strace).
 *
 * Pages are written and read in turn; a copy that ends with VMAP_EIO is made again. In the end every page must
 * hold what was copied to it, and some copies or transfers must have failed. */
#include "../common.h"
#include <vmap.h>

enum { PAGES = 120, ROUNDS = 5 };

int main(void)
{
    struct vmap_options options = {.memory = 16 * PAGE, .swap = 256 * PAGE};
    CHECK(vmap_setup(&options) == 0, "setup");
    struct VMap *map = vmap_create();
    char *block = vmap_malloc(map, PAGES * PAGE);
    long failed = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (int page = 0; page < PAGES; page++) {
            uint64_t value = mix(round * PAGES + page), found = 1;
            while (round > 0 && vmap_copy_from_memory(map, &found, block + page * PAGE + 8, 8) != 0)
                CHECK(vmap_error() == VMAP_EIO && ++failed < 10000, "%s", vmap_strerror(vmap_error()));
            CHECK(round == 0 || found == mix((round - 1) * PAGES + page), "page %d in round %d", page, round);
            while (vmap_copy_to_memory(map, block + page * PAGE + 8, &value, 8) != 0)
                CHECK(vmap_error() == VMAP_EIO && ++failed < 10000, "%s", vmap_strerror(vmap_error()));
        }
    struct vmap_statistics statistics;
    CHECK(vmap_statistics(&statistics) == 0 && vmap_destroy(map) == 0, "statistics");
    CHECK(statistics.swap_errors > 0, "nothing has failed, this proves nothing");
    printf("nothing is lost\n");
    return 0;
}

/* Are the faults of managed memory those of the course's logs, line by line?
 *
 *     mm_log POLICY FRAMES INPUT [old]     POLICY 1 fifo, 2 third chance; `old`: the older order of arguments
 *
 * Does what the course's driver does: 16 pages, one char access for each line of INPUT ("read|write PAGE
 * OFFSET VALUE"), and prints the log. In the end what was written last must still be there.
 */
#include "../common.h"
#include <mm.h>

enum { PAGES = 16 };

void mm_logger(int virt_page, int fault_type, int evicted_page, int write_back, unsigned int phy_addr)
{
    printf("%d\t\t%d\t\t%d\t\t%d\t\t0x%04x\n", fault_type, virt_page, evicted_page, write_back, phy_addr);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 4, "usage: mm_log POLICY FRAMES INPUT [old]");
    int policy = atoi(argv[1]), frames = atoi(argv[2]), faults = 0;
    int page = sysconf(_SC_PAGE_SIZE);
    FILE *input = fopen(argv[3], "r");
    CHECK(input, "%s", argv[3]);
    static char expected[PAGES][PAGE];
    void *memory;
    CHECK(posix_memalign(&memory, page, PAGES * page) == 0, "no memory");
    volatile char *vm = memory;
    memset(memory, 0, PAGES * page);

    printf("Page Size: %d\nNum Frames: %d\ntype\tvirt-page\tevicted-virt-page\twrite-back\tphy-addr\n", page, frames);
    if (argc > 4) {
        void (*vm_first)(void *, int, int, int, int);
        *(void **)&vm_first = (void *)mm_init;
        vm_first(memory, PAGES * page, frames, page, policy);
    } else {
        mm_init(policy, memory, PAGES * page, frames, page);
    }
    char kind[16];
    int number, offset, value;
    while (fscanf(input, "%15s %d %d %d", kind, &number, &offset, &value) == 4) {
        int at = number * page + offset * 4;
        unsigned long before = mm_nsigsegvs();
        if (kind[0] == 'w') {
            vm[at] = value;
            expected[number][offset * 4] = value;
        } else {
            CHECK(vm[at] == expected[number][offset * 4], "page %d offset %d holds %d", number, offset, vm[at]);
        }
        CHECK(mm_nsigsegvs() - before <= 1, "%lu faults for one access", mm_nsigsegvs() - before);
        faults += mm_nsigsegvs() - before;
    }
    fclose(input);
    CHECK(mm_report_npage_faults() <= (unsigned long)faults, "%lu page faults", mm_report_npage_faults());
    CHECK(mm_end(memory) == 0, "it was managed");
    CHECK(memcmp(memory, expected, sizeof expected) == 0, "the contents have changed");
    free(memory);
    return 0;
}

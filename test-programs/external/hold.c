/* Keeps the processor: for tests of what becomes of the others.
 *
 *   hold SECONDS [PAGES]       with PAGES written, says so, sleeps, and looks at them again; then yields and ends
 */
#include "app.h"

int main(int argc, char **argv)
{
    unsigned seconds = argument(argc, argv, 1, 1), pages = argument(argc, argv, 2, 2);
    for (unsigned i = 0; i < pages; i++)
        fill_page(must_extend(i), i);
    puts("holding");
    fflush(stdout);
    sleep(seconds);
    for (unsigned i = 0; i < pages; i++)
        check_page((char *)VM_ARENA_BASEADDR + (size_t)i * VM_PAGESIZE, i);
    vm_yield();
    puts("held");
}

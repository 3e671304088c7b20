/* Does vm_syslog print what lies in the arena, across pages and beyond memory, and refuse everything else
 * without printing? Prints the lines that the pager must have printed, and no others.
 */
#include "app.h"

static char expected[1 << 20];
static size_t length;

static void must_log(const char *message, unsigned len)
{
    memcpy(expected + length, "syslog \t\t\t", 10);
    length += 10;
    for (unsigned i = 0; i < len; i++)
        expected[length++] = message[i];
    expected[length++] = '\n';
    CHECK(vm_syslog((void *)message, len) == 0, "%u bytes at %p", len, (const void *)message);
}

static void must_refuse(uintptr_t message, unsigned len)
{
    CHECK(vm_syslog((void *)message, len) == -1, "%u bytes at %#lx are no message", len, (unsigned long)message);
    CHECK(errno == EFAULT, "another errno than EFAULT");
}

int main(void)
{
    uintptr_t base = (uintptr_t)VM_ARENA_BASEADDR, end = base + VM_ARENA_SIZE;
    must_refuse(base, 1); /* nothing is valid yet */
    enum { PAGES = 20 };
    for (unsigned i = 0; i < PAGES; i++)
        must_extend(i);
    char *arena = VM_ARENA_BASEADDR;

    strcpy(arena, "hello");
    must_log(arena, 5);
    must_log(arena, 6); /* a NUL is a byte like others */
    must_log(arena + VM_PAGESIZE, 3); /* never touched: zeros */

    /* Across a border. */
    char *border = arena + 3 * VM_PAGESIZE;
    memcpy(border - 4, "left|right", 10);
    must_log(border - 4, 10);

    /* More pages than there is memory. */
    for (unsigned i = 0; i < PAGES * VM_PAGESIZE; i++)
        arena[i] = "0123456789abcdef"[(i / 7 + i / VM_PAGESIZE) % 16];
    must_log(arena, PAGES * VM_PAGESIZE);
    must_log(arena + 100, PAGES * VM_PAGESIZE - 100);
    must_log(arena + PAGES * VM_PAGESIZE - 1, 1);

    must_refuse(base, 0);
    must_refuse(base, PAGES * VM_PAGESIZE + 1);
    must_refuse(base + PAGES * VM_PAGESIZE, 1);
    must_refuse(base + PAGES * VM_PAGESIZE - 1, 2);
    must_refuse(base - 1, 2);
    must_refuse(base - 1, 1);
    must_refuse(end - 1, 1);
    must_refuse(end, 1);
    must_refuse(0, 10);
    must_refuse(base, UINT32_MAX);
    must_refuse(UINTPTR_MAX, 2); /* wraps around */
    must_refuse(UINTPTR_MAX - base + 1, UINT32_MAX);
    must_refuse((uintptr_t)&length, 4);

    fwrite(expected, 1, length, stdout);
}

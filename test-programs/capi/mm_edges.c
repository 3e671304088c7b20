/* What does mm.h do at its edges? Several regions at once, re-init, larger pages, bad arguments, a logger
 * that touches managed memory, faults elsewhere, jumps out of the program's own handler. */
#include "../common.h"
#include <mm.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static volatile int calls, last_page, last_type, last_evicted, last_write_back;
static volatile unsigned last_address;
static volatile char *volatile touched_by_logger;

void mm_logger(int virt_page, int fault_type, int evicted_page, int write_back, unsigned int phy_addr)
{
    calls++;
    last_page = virt_page, last_type = fault_type, last_evicted = evicted_page;
    last_write_back = write_back, last_address = phy_addr;
    if (touched_by_logger) {
        volatile char *at = touched_by_logger;
        touched_by_logger = NULL;
        (void)*at;
    }
}

static char *map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED, "no memory");
    return at;
}

#define LOGGED(page, type, evicted, write_back, address)                                                             \
    CHECK(last_page == page && last_type == type && last_evicted == evicted && last_write_back == write_back         \
              && last_address == (unsigned)(address), "logged %d %d %d %d %#x", last_page, last_type, last_evicted,  \
          last_write_back, last_address)

static void larger_pages(int page)
{
    volatile char *vm = map(8 * page);
    vm[3 * page + 5] = 77;
    mm_init(MM_FIFO, (void *)vm, 8 * page, 2, page);
    CHECK(vm[3 * page + 5] == 77, "contents");
    LOGGED(3, 0, -1, 0, 5);
    vm[3 * page + page - 1] = 1;
    LOGGED(3, 2, -1, 0, page - 1);
    int before = calls;
    for (int at = 0; at < page; at += PAGE)
        vm[3 * page + at] = 2;
    CHECK(calls == before, "one page, one fault");
    vm[4 * page] = 1;
    LOGGED(4, 1, -1, 0, page);
    (void)vm[5 * page + 8];
    LOGGED(5, 0, 3, 1, 8);
    CHECK(mm_report_npage_evicts(3) == 1 && mm_report_npage_evicts(4) == 0, "evictions");
    CHECK(mm_report_nframe_evicts(0) == 1 && mm_report_nframe_evicts(1) == 0, "evictions of frames");
    CHECK(mm_report_npage_evicts(8) == -1 && mm_report_npage_evicts(-1) == -1, "no such page");
    CHECK(mm_report_nframe_evicts(2) == -1 && mm_report_nframe_evicts(-1) == -1, "no such frame");
    CHECK(mm_report_npage_faults() == 3 && mm_report_nwrite_backs() == 1 && mm_nsigsegvs() == 4, "reports");
    CHECK(mm_end((void *)vm) == 0 && munmap((void *)vm, 8 * page) == 0, "end");
}

static void several(void)
{
    enum { REGIONS = 20 };
    volatile char *vm[REGIONS];
    for (int i = 0; i < REGIONS; i++) {
        vm[i] = map(4 * PAGE);
        mm_init(i % 2 ? MM_FIFO : MM_THIRD, (void *)vm[i], 4 * PAGE, 1 + i % 4, PAGE);
    }
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < REGIONS; i++)
            for (int page = 0; page < 4; page++) {
                CHECK(vm[i][page * PAGE] == (char)(round ? round - 1 + i + page : 0), "region %d page %d", i, page);
                vm[i][page * PAGE] = round + i + page;
            }
    /* Again: everything is absent, the contents are there, the counts begin at zero. */
    mm_init(MM_FIFO, (void *)vm[7], 4 * PAGE, 2, PAGE);
    CHECK(mm_nsigsegvs() == 0 && vm[7][2 * PAGE] == 49 + 7 + 2, "re-init");
    LOGGED(2, 0, -1, 0, 0);
    /* Overlapping: the other ends, wholly. */
    mm_init(MM_FIFO, (void *)(vm[7] + 3 * PAGE), PAGE, 2, PAGE);
    int before = calls;
    (void)vm[7][0];
    CHECK(calls == before, "managed still");
    (void)vm[7][3 * PAGE];
    CHECK(calls == before + 1 && last_page == 0, "page %d", last_page);
    for (int i = 0; i < REGIONS; i++)
        CHECK(mm_end((void *)(vm[i] + (i == 7 ? 3 * PAGE : 0))) == 0, "end of %d", i);
    CHECK(mm_end((void *)vm[0]) == -1 && errno == EINVAL, "ended twice");
    CHECK(mm_report_npage_evicts(0) == -1 && mm_nsigsegvs() == 0, "reports of nothing");
}

static void refuses(const char *what, int policy, void *vm, int size, int frames, int page)
{
    errno = 0;
    mm_init(policy, vm, size, frames, page);
    CHECK(errno != 0, "%s was accepted", what);
    CHECK(mm_end(vm) == -1, "%s: is managed", what);
}

static void bad_arguments(void)
{
    char *vm = map(4 * PAGE);
    refuses("policy 0", 0, vm, 4 * PAGE, 2, PAGE);
    refuses("policy 9", 9, vm, 4 * PAGE, 2, PAGE);
    refuses("no memory", MM_FIFO, NULL, 4 * PAGE, 2, PAGE);
    refuses("an odd address", MM_FIFO, vm + 8, 3 * PAGE, 2, PAGE);
    refuses("no size", MM_FIFO, vm, 0, 2, PAGE);
    refuses("a negative size", MM_FIFO, vm, -PAGE, 2, PAGE);
    refuses("half a page", MM_FIFO, vm, PAGE + 100, 2, PAGE);
    refuses("no frame", MM_FIFO, vm, 4 * PAGE, 0, PAGE);
    refuses("negative frames", MM_FIFO, vm, 4 * PAGE, -3, PAGE);
    refuses("no page size", MM_FIFO, vm, 4 * PAGE, 2, 0);
    refuses("a page size of 100", MM_FIFO, vm, 4 * PAGE, 2, 100);
    CHECK(munmap(vm + 2 * PAGE, PAGE) == 0, "munmap");
    refuses("a hole", MM_FIFO, vm, 4 * PAGE, 2, PAGE);
    vm[0] = vm[PAGE] = vm[3 * PAGE] = 1;
    mm_init(MM_FIFO, vm, 2 * PAGE, 1000000, PAGE);
    CHECK(vm[0] == 1 && vm[PAGE] == 1 && mm_nsigsegvs() == 2, "more frames than pages");
    CHECK(mm_report_nframe_evicts(999999) == 0 && mm_report_nframe_evicts(1000000) == -1, "frames that are never used");
    CHECK(mm_end(vm) == 0, "end");
}

/* What the older edition is told, which has the arguments in another order. */
static void says(const char *expected, void *vm, int size, int frames, int page, int policy)
{
    void (*vm_first)(void *, int, int, int, int);
    *(void **)&vm_first = (void *)mm_init;
    char line[300] = "";
    int pipes[2], stderr_copy = dup(2);
    CHECK(pipe(pipes) == 0 && dup2(pipes[1], 2) == 2, "no pipe");
    vm_first(vm, size, frames, page, policy);
    CHECK(dup2(stderr_copy, 2) == 2 && read(pipes[0], line, sizeof line - 1) > 0, "nothing was said");
    CHECK(strstr(line, expected), "not about %s: %s", expected, line);
    close(pipes[0]), close(pipes[1]), close(stderr_copy);
}

static void older_edition(void)
{
    char *vm = map(4 * PAGE);
    says("address 0x0", NULL, 4 * PAGE, 2, PAGE, 1);
    says("is not one of a page", vm + 8, 2 * PAGE, 2, PAGE, 1);
    says("size 0", vm, 0, 2, PAGE, 1);
    says("size -4096", vm, -PAGE, 2, PAGE, 1);
    says("0 frames", vm, 4 * PAGE, 0, PAGE, 2);
    says("page size 100", vm, 4 * PAGE, 2, 100, 2);
    says("policy 0", vm, 4 * PAGE, 2, PAGE, 0);
    says("policy 9", vm, 4 * PAGE, 2, PAGE, 9);
}

static sigjmp_buf back;
static void jump(int signal)
{
    siglongjmp(back, signal);
}

static void own_faults(void)
{
    volatile char *vm = map(4 * PAGE);
    char *closed = map(PAGE);
    mprotect(closed, PAGE, PROT_NONE);
    signal(SIGSEGV, jump);
    mm_init(MM_THIRD, (void *)vm, 4 * PAGE, 2, PAGE);
    for (volatile int i = 0; i < 5; i++) {
        vm[i % 4 * PAGE]++;
        if (sigsetjmp(back, 1) == 0) {
            *(volatile char *)closed = 1;
            fail("the store to a closed page succeeded");
        }
    }
    CHECK(vm[0] == 2, "contents");
    /* Set again, after ours: the next mm_init brings ours back. */
    signal(SIGSEGV, jump);
    mm_init(MM_THIRD, (void *)vm, 4 * PAGE, 2, PAGE);
    CHECK(vm[0] == 2, "contents");
    /* A page that the program closes itself is its own fault. */
    vm[0] = 2;
    mprotect((void *)vm, PAGE, PROT_NONE);
    if (sigsetjmp(back, 1) == 0) {
        vm[0] = 1;
        fail("a page that was closed is open");
    }
    CHECK(mm_end((void *)vm) == 0, "end");
    signal(SIGSEGV, SIG_DFL);
}

static void forks(void)
{
    volatile char *vm = map(4 * PAGE);
    mm_init(MM_THIRD, (void *)vm, 4 * PAGE, 2, PAGE);
    for (int page = 0; page < 4; page++)
        vm[page * PAGE] = page + 1;
    pid_t child = fork();
    if (child == 0) {
        int before = calls;
        for (int page = 0; page < 4; page++)
            CHECK(vm[page * PAGE]++ == page + 1, "page %d in the child", page);
        CHECK(calls == before, "the child's memory is managed");
        mm_init(MM_FIFO, (void *)vm, 4 * PAGE, 1, PAGE);
        for (int page = 0; page < 4; page++)
            CHECK(vm[page * PAGE] == page + 2, "page %d in the child", page);
        CHECK(mm_nsigsegvs() == 4, "%lu faults", mm_nsigsegvs());
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child: status %x", status);
    for (int page = 0; page < 4; page++)
        CHECK(vm[page * PAGE] == page + 1, "page %d in the parent", page);
    CHECK(mm_report_npage_faults() == 8 && mm_end((void *)vm) == 0, "%lu page faults", mm_report_npage_faults());
}

int main(void)
{
    larger_pages(PAGE);
    larger_pages(3 * PAGE);
    larger_pages(64 * PAGE);
    said("pages of several sizes");
    several();
    said("several regions");
    bad_arguments();
    older_edition();
    said("bad arguments");
    volatile char *vm = map(4 * PAGE);
    mm_init(MM_THIRD, (void *)vm, 4 * PAGE, 3, PAGE);
    touched_by_logger = vm + 2 * PAGE;
    int before = calls;
    vm[0] = 1;
    CHECK(calls == before + 2 && last_page == 2, "a fault within the logger");
    CHECK(mm_end((void *)vm) == 0, "end");
    said("a logger that faults");
    own_faults();
    said("the program's own faults");
    forks();
    said("fork");
    return 0;
}

/* floor: what is the least that a page fault in user space costs on this machine?
 *
 * The bare loop: a SIGSEGV handler which knows nothing but arrays, and makes the system calls that no pager of this design
 * can do without: close the victim's page, write it to the swap file, read the wanted page, open it. Single-threaded, no
 * policy (FIFO), no lock, no statistics but one counter. A real pager is measured as a multiple of this.
 *
 * The walk is random_access's, over as many pages; the frames are the pages of one memfd with two views, as in the library.
 *
 * floor [PAGES] [ACCESSES] [FRAMES] [SWAP_DIR] */
#include "random_pages.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NONE = UINT32_MAX };

static unsigned char *program_view; /* what the program touches: PAGES pages, most of them closed */
static unsigned char *engine_view;  /* the frames, always open */
static uint32_t *page_in;           /* for each frame, the page it holds */
static unsigned char *swapped;      /* for each page, whether the swap file has it */
static size_t pages, frames, hand;
static int memfd, swap_file;
static volatile uint64_t swap_ins; /* volatile: main cannot see that its stores call fault() */

static void fail(const char *what) {
    ssize_t ignored = write(2, what, strlen(what));
    (void)ignored;
    _exit(1);
}

static void close_page(size_t page) {
    void *at = program_view + page * PAGE;
    if (mmap(at, PAGE, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != at)
        fail("floor: mmap of the victim failed\n");
}

static void open_page(size_t page, size_t frame) {
    void *at = program_view + page * PAGE;
    if (mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, memfd, (off_t)(frame * PAGE)) != at)
        fail("floor: mmap of the page failed\n");
}

static void fault(int number, siginfo_t *info, void *context) {
    (void)context;
    size_t page = ((uintptr_t)info->si_addr - (uintptr_t)program_view) / PAGE;
    if (page >= pages) { /* not ours: die of it when the instruction is retried */
        signal(number, SIG_DFL);
        return;
    }
    size_t frame = hand;
    unsigned char *data = engine_view + frame * PAGE;
    hand = hand + 1 == frames ? 0 : hand + 1;

    uint32_t victim = page_in[frame];
    if (victim != NONE) {
        close_page(victim);
        if (pwrite(swap_file, data, PAGE, (off_t)victim * PAGE) != PAGE) fail("floor: pwrite failed\n");
        swapped[victim] = 1;
    }
    if (swapped[page]) {
        if (pread(swap_file, data, PAGE, (off_t)page * PAGE) != PAGE) fail("floor: pread failed\n");
        swap_ins++;
    } /* else the first touch: the fill which follows writes the whole page, so it needs no zeroing here */
    page_in[frame] = (uint32_t)page;
    open_page(page, frame);
}

static void *map(size_t bytes, int protection, int flags, int fd) {
    void *at = mmap(NULL, bytes, protection, flags, fd, 0);
    if (at == MAP_FAILED) die("mmap");
    return at;
}

static void open_files(const char *directory) {
    char name[4096];
    snprintf(name, sizeof name, "%s/floor-XXXXXX", directory);
    if ((swap_file = mkstemp(name)) < 0) die(name);
    unlink(name);
    if ((errno = posix_fallocate(swap_file, 0, (off_t)(pages * PAGE)))) die("fallocate");
    if ((memfd = memfd_create("floor", MFD_CLOEXEC)) < 0) die("memfd_create");
    if (ftruncate(memfd, (off_t)(frames * PAGE))) die("ftruncate");
}

static void catch_faults(void) {
    stack_t stack = {.ss_size = 64 << 10};
    stack.ss_sp = map(stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    if (sigaltstack(&stack, NULL) || sigaction(SIGSEGV, &action, NULL)) die("sigaction");
}

int main(int argc, char **argv) {
    pages = argument(argc, argv, 1, 5120);
    size_t accesses = argument(argc, argv, 2, 100000);
    frames = argument(argc, argv, 3, 2048);
    open_files(argc > 4 ? argv[4] : "/tmp");

    program_view = map(pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    engine_view = map(frames * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd);
    page_in = must(malloc(frames * sizeof *page_in), "malloc");
    memset(page_in, 0xff, frames * sizeof *page_in);
    swapped = must(calloc(pages, 1), "calloc");
    catch_faults();

    fill_pages((uint64_t *)program_view, pages);
    swap_ins = 0;
    uint64_t ns = access_pages((uint64_t *)program_view, pages, accesses);
    printf("ns=%" PRIu64 " ops=%zu swap_ins=%" PRIu64 "\n", ns, accesses, swap_ins);
}

/* What does paged_region.h do at its edges? Bad options and handles, a stack in a region, code in a region,
 * what is not allowed, many threads, many regions. */
#include "../common.h"
#include <paged_region.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void refused(const char *what, struct paged_region_options options, int error)
{
    errno = 0;
    CHECK(paged_region_create(&options) == NULL, "%s was accepted", what);
    CHECK(errno == error, "%s", what);
}

static void bad_options(void)
{
    CHECK(paged_region_create(NULL) == NULL && errno == EINVAL, "NULL was accepted");
    struct paged_region_options good = {.pages = 4, .max_pages = 3}, bad;
#define BAD(field, value, error) (bad = good, bad.field = value, refused(#field " " #value, bad, error))
    BAD(pages, 0, EINVAL);
    BAD(pages, (size_t)1 << 40, EINVAL);
    BAD(max_pages, 0, EINVAL);
    BAD(page_size, 100, EINVAL);
    BAD(page_size, 3 * PAGE, EINVAL);
    BAD(page_size, (size_t)1 << 30, EINVAL);
    BAD(base, (void *)12345, EINVAL);
    BAD(policy, "best", EINVAL);
    BAD(protection, PAGED_WRITE, EINVAL);
    BAD(protection, 64 | PAGED_READ, EINVAL);
    BAD(backing, 7, EINVAL);
    BAD(directory, "/nowhere", ENOENT);
    BAD(directory, "/proc/version", ENOTDIR);
    good.backing = PAGED_FILES;
    BAD(directory, "/nowhere", ENOENT);
    void *taken = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BAD(base, taken, EEXIST);
    int on_stack;
    struct paged_region_counts counts;
    CHECK(paged_region_destroy(NULL) == -1 && errno == EINVAL, "NULL");
    CHECK(paged_region_destroy((void *)&on_stack) == -1 && errno == EINVAL, "no handle");
    CHECK(paged_region_base((void *)&on_stack) == NULL && errno == EINVAL, "no handle");
    struct paged_region *region = paged_region_create(&good);
    CHECK(paged_region_count(region, NULL) == -1 && errno == EINVAL, "no counts");
    CHECK(paged_region_count(NULL, &counts) == -1 && errno == EINVAL, "no region");
    CHECK(paged_region_destroy(region) == 0, "destroy");
    CHECK(paged_region_destroy(region) == -1 && errno == EINVAL, "destroyed twice");
    struct paged_region *next = paged_region_create(&good);
    CHECK(paged_region_base(region) == NULL && paged_region_destroy(region) == -1, "a region that is gone is the next");
    CHECK(paged_region_destroy(next) == 0, "destroy");
}

/* Pushes and calls on a stack inside the region, 12 of its 20 pages deep, with 3 of them mapped. */
static long deep(long n)
{
    volatile char frame[256];
    memset((void *)frame, n, sizeof frame);
    long below = n > 0 ? deep(n - 1) : 0;
    for (size_t i = 0; i < sizeof frame; i++)
        CHECK(frame[i] == (char)n, "the frame at depth %ld", n);
    return below + n;
}

static long on_stack(long (*function)(long), long argument, void *top)
{
    long result;
    __asm__ volatile("mov %%rsp, %%rbx\n\tmov %3, %%rsp\n\tcall *%1\n\tmov %%rbx, %%rsp"
                     : "=a"(result)
                     : "r"(function), "D"(argument), "r"(top)
                     : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

static int events;
static void note(void *address, int page, int unmapped, void *context)
{
    (void)address, (void)page, (void)unmapped;
    ++*(int *)context;
}

static void stacks(enum paged_backing backing)
{
    struct paged_region_options options = {.pages = 20, .max_pages = 3, .backing = backing, .callback = note, .context = &events};
    struct paged_region *region = paged_region_create(&options);
    CHECK(region, "no region");
    events = 0;
    long sum = on_stack(deep, 200, (char *)paged_region_base(region) + 20 * PAGE);
    CHECK(sum == 200 * 201 / 2, "sum %ld", sum);
    CHECK(events > 20, "%d events", events);
    CHECK(paged_region_destroy(region) == 0, "destroy");
}

static void code(enum paged_backing backing)
{
    struct paged_region_options options = {.pages = 8, .max_pages = 1, .backing = backing, .policy = "clock",
                                           .protection = PAGED_READ | PAGED_WRITE | PAGED_EXEC};
    struct paged_region *region = paged_region_create(&options);
    CHECK(region, "no region");
    unsigned char *memory = paged_region_base(region);
    for (int page = 0; page < 8; page++) /* mov eax, page; ret */
        memcpy(memory + page * PAGE, (unsigned char[]){0xb8, page, 1, 0, 0, 0xc3}, 6);
    for (int round = 0; round < 3; round++)
        for (int page = 0; page < 8; page++) {
            int (*function)(void);
            *(void **)&function = memory + page * PAGE;
            CHECK(function() == 256 + page, "page %d", page);
        }
    CHECK(paged_region_destroy(region) == 0, "destroy");
}

static sigjmp_buf back;
static void jump(int signal)
{
    siglongjmp(back, signal);
}

static void not_allowed(void)
{
    signal(SIGSEGV, jump);
    struct paged_region_options options = {.pages = 4, .max_pages = 2, .protection = PAGED_READ};
    struct paged_region *region = paged_region_create(&options);
    volatile char *memory = paged_region_base(region);
    CHECK(memory[5] == 0, "not zero");
    for (volatile int page = 0; page < 2; page++)
        if (sigsetjmp(back, 1) == 0) {
            memory[page * PAGE] = 1;
            fail("a store to a region that is read only");
        }
    if (sigsetjmp(back, 1) == 0) {
        void (*function)(void);
        *(volatile void **)&function = memory;
        function();
        fail("execution of data");
    }
    CHECK(paged_region_destroy(region) == 0, "destroy");
    if (sigsetjmp(back, 1) == 0) {
        (void)memory[0];
        fail("a touch of a region that is no more");
    }
    signal(SIGSEGV, SIG_DFL);
}

enum { THREADS = 8, EACH = 40 };
static struct paged_region *shared;

static void *worker(void *argument)
{
    long me = (long)argument;
    CHECK(paged_region_thread() == 0, "no stack");
    volatile unsigned char *memory = paged_region_base(shared);
    unsigned char expected[EACH] = {0};
    for (int i = 0; i < 20000; i++) {
        uint64_t random = mix(me * 1000003 + i);
        int page = random % EACH;
        volatile unsigned char *at = memory + (page * THREADS + me) * PAGE + 100;
        CHECK(*at == expected[page], "thread %ld page %d holds %d, not %d", me, page, *at, expected[page]);
        if (random >> 32 & 1)
            *at = expected[page] = random >> 33;
    }
    return NULL;
}

static void threads(const char *policy, enum paged_backing backing)
{
    struct paged_region_options options = {.pages = THREADS * EACH, .max_pages = 12, .policy = policy, .backing = backing};
    CHECK((shared = paged_region_create(&options)), "no region");
    pthread_t thread[THREADS];
    for (long i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, worker, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    struct paged_region_counts counts;
    CHECK(paged_region_count(shared, &counts) == 0 && counts.swap_ins > 1000, "%lu swap-ins", counts.swap_ins);
    CHECK(paged_region_destroy(shared) == 0, "destroy");
}

static void many(void)
{
    enum { REGIONS = 100 };
    struct paged_region *region[REGIONS];
    for (int i = 0; i < REGIONS; i++) {
        struct paged_region_options options = {.pages = 5, .max_pages = 2, .page_size = PAGE << i % 3};
        CHECK((region[i] = paged_region_create(&options)), "region %d", i);
    }
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < REGIONS; i++)
            for (int page = 0; page < 5; page++) {
                char *at = (char *)paged_region_base(region[i]) + (size_t)page * (PAGE << i % 3) + 50;
                CHECK(*at == (char)(round * (i + page)), "region %d page %d", i, page);
                *at += i + page;
            }
    for (int i = 0; i < REGIONS; i++)
        CHECK(paged_region_destroy(region[i]) == 0, "destroy");
}

static void forks(enum paged_backing backing)
{
    struct paged_region_options options = {.pages = 8, .max_pages = 3, .backing = backing};
    struct paged_region *region = paged_region_create(&options);
    volatile char *memory = paged_region_base(region);
    for (int page = 0; page < 8; page++)
        memory[page * PAGE] = page + 1;
    pid_t child = fork();
    if (child == 0) {
        CHECK(paged_region_base(region) == NULL, "the child has its parent's region");
        options.base = NULL;
        char *own = paged_region_base(paged_region_create(&options));
        memset(own, 9, 8 * PAGE);
        CHECK(own[3] == 9, "the child's own region");
        signal(SIGSEGV, jump);
        if (sigsetjmp(back, 1) == 0) {
            memory[7 * PAGE] = 100;
            fail("a store to the parent's region");
        }
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child: status %x", status);
    for (int page = 0; page < 8; page++)
        CHECK(memory[page * PAGE] == page + 1, "page %d in the parent", page);
    CHECK(paged_region_destroy(region) == 0, "destroy");
}

/* The counts go into the region itself, and the callback asks for them in its turn. */
static struct paged_region *asked;
static void ask(void *address, int page, int unmapped, void *context)
{
    struct paged_region_counts counts;
    note(address, page, unmapped, context);
    CHECK(paged_region_count(asked, &counts) == 0 && paged_region_base(asked), "asked by the callback");
}

static void counts_inside(void)
{
    struct paged_region_options options = {.pages = 4, .max_pages = 3, .callback = ask, .context = &events};
    asked = paged_region_create(&options);
    struct paged_region_counts *counts = paged_region_base(asked);
    events = 0;
    CHECK(paged_region_count(asked, counts) == 0 && counts->first_touches == 0 && events == 1, "%d events", events);
    CHECK(paged_region_destroy(asked) == 0, "destroy");
}

/* One frame, and one store to two pages: it cannot get on, but it can be told. */
static void standstill(enum paged_backing backing)
{
    struct paged_region_options options = {.pages = 2, .max_pages = 1, .backing = backing};
    struct paged_region *region = paged_region_create(&options);
    signal(SIGSEGV, jump);
    if (sigsetjmp(back, 1) == 0) {
        *(volatile uint64_t *)((char *)paged_region_base(region) + PAGE - 4) = 1;
        fail("a store to two pages, one of which is absent");
    }
    signal(SIGSEGV, SIG_DFL);
    CHECK(paged_region_destroy(region) == 0, "destroy");
}

/* Threads without an alternate stack try closed addresses, at any depth, and the program's handler hears of each. */
static __thread sigjmp_buf back_of_thread;
static void jump_in_thread(int signal)
{
    siglongjmp(back_of_thread, signal);
}

static int probe(int depth)
{
    volatile char frame[512];
    frame[0] = depth;
    if (depth > 0)
        return probe(depth - 1) + frame[0] - depth;
    if (sigsetjmp(back_of_thread, 1) == 0)
        *(volatile char *)16 = 1;
    return 1;
}

static void *prober(void *argument)
{
    for (int round = 0; round < 20; round++)
        for (int depth = 0; depth < 30; depth++)
            CHECK(probe(depth) == 1, "depth %d", depth);
    return argument;
}

static void strays(void)
{
    struct sigaction action = {.sa_handler = jump_in_thread, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    struct paged_region_options options = {.pages = 2, .max_pages = 1};
    struct paged_region *region = paged_region_create(&options);
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, prober, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    signal(SIGSEGV, SIG_DFL);
    CHECK(paged_region_destroy(region) == 0, "destroy");
}

static void *enter(void *address)
{
    CHECK(paged_region_thread() == 0, "no stack");
    ++*(volatile char *)address;
    return address;
}

static long mapped_kilobytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld", &pages) == 1 && fclose(file) == 0, "no /proc");
    return pages * 4;
}

/* The alternate stacks go with their threads. */
static void thread_ends(void)
{
    struct paged_region_options options = {.pages = 2, .max_pages = 1};
    struct paged_region *region = paged_region_create(&options);
    long before = 0;
    for (int i = 0; i < 300; i++) {
        if (i == 100)
            before = mapped_kilobytes();
        pthread_t thread;
        pthread_create(&thread, NULL, enter, paged_region_base(region));
        pthread_join(thread, NULL);
    }
    CHECK(mapped_kilobytes() - before < 10000, "grown by %ld KiB", mapped_kilobytes() - before);
    CHECK(paged_region_destroy(region) == 0, "destroy");
}

int main(void)
{
    bad_options();
    said("bad options");
    stacks(PAGED_SWAP);
    stacks(PAGED_FILES);
    said("a stack in a region");
    code(PAGED_SWAP);
    code(PAGED_FILES);
    said("code in a region");
    not_allowed();
    said("what is not allowed");
    threads("fifo", PAGED_SWAP);
    threads("clock", PAGED_FILES);
    threads("third-chance", PAGED_SWAP);
    said("threads");
    counts_inside();
    said("counts in a region");
    standstill(PAGED_SWAP);
    standstill(PAGED_FILES);
    said("an instruction that needs two pages");
    strays();
    said("faults elsewhere");
    thread_ends();
    said("threads that end");
    many();
    said("many regions");
    forks(PAGED_SWAP);
    forks(PAGED_FILES);
    said("fork");
    return 0;
}

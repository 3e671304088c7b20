/* Question: do mprotect, madvise, mlock, mincore, munmap, mremap and mmap on pages of malloc'ed blocks
 * do what they do on any memory, also when those pages have been paged out?
 *
 * Everything is done twice, by the functions of the C library and by raw system calls, and each time
 * everything else is sent out of memory in between. usage: calls_mappings [bytes to page out]
 */
#include "common.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PAGES = 80, SIZE = PAGES * PAGE };

static size_t churn;
static int raw;

static int protect(void *at, size_t size, int protection)
{
    return raw ? (int)syscall(SYS_mprotect, at, size, protection) : mprotect(at, size, protection);
}

static int advise(void *at, size_t size, int advice)
{
    return raw ? (int)syscall(SYS_madvise, at, size, advice) : madvise(at, size, advice);
}

static int unmap(void *at, size_t size)
{
    return raw ? (int)syscall(SYS_munmap, at, size) : munmap(at, size);
}

static unsigned char *pages(uint64_t key)
{
    void *block;
    CHECK(posix_memalign(&block, PAGE, SIZE) == 0, "posix_memalign");
    fill(block, SIZE, key);
    page_out(churn);
    return block;
}

/* The program's own handler: notes where, and opens the page or jumps. */
static volatile sig_atomic_t caught;
static void *volatile where;
static volatile int why, opens;
static sigjmp_buf out;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    caught++;
    where = info->si_addr;
    why = info->si_code;
    if (!opens)
        siglongjmp(out, 1);
    void *page = (void *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));
    if (protect(page, PAGE, PROT_READ | PROT_WRITE) != 0)
        fail("mprotect in the handler: %s", strerror(errno));
}

/* Whether the access faults, at the address itself. */
static int faults(volatile unsigned char *at, int store)
{
    opens = 0;
    caught = 0;
    if (sigsetjmp(out, 1) == 0) {
        if (store)
            *at = 1;
        else
            (void)*at;
    }
    if (caught)
        CHECK(where == at, "fault at %p instead of %p", (void *)where, (void *)at);
    return caught;
}

static void protections(void)
{
    unsigned char *block = pages(1);
    CHECK(protect(block, SIZE, PROT_READ) == 0, "mprotect");
    page_out(churn);
    verify(block, SIZE, 1, "read-only");
    for (int i = 0; i < PAGES; i += 7) {
        CHECK(faults(block + i * PAGE + i, 1), "no fault for a store to page %d", i);
        CHECK(why == SEGV_ACCERR, "si_code %d", why);
    }
    CHECK(protect(block + SIZE / 2, SIZE / 2, PROT_NONE) == 0, "mprotect");
    page_out(churn);
    verify(block, SIZE / 2, 1, "read-only");
    for (int i = PAGES / 2; i < PAGES; i += 5) {
        CHECK(faults(block + i * PAGE + i, 0), "no fault for a load of page %d", i);
        CHECK(why == SEGV_ACCERR, "si_code %d", why);
    }
    CHECK(protect(block, SIZE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    verify(block, SIZE, 1, "closed and opened");
    page_out(churn);
    verify(block, SIZE, 1, "closed and opened");
    fill(block, SIZE, 2);
    CHECK(protect(block, SIZE, PROT_NONE) == 0, "mprotect");
    page_out(churn);
    /* Each page is opened by the handler when it is touched, as a course's pager does it. */
    opens = 1, caught = 0;
    verify(block, SIZE, 2, "opened by the handler");
    CHECK(caught == PAGES, "%d faults for %d pages", (int)caught, PAGES);
    CHECK(protect(block + PAGE, 3 * PAGE, PROT_READ) == 0, "mprotect");
    page_out(churn);
    block[2 * PAGE] ^= 0xff;
    CHECK(caught == PAGES + 1, "%d faults", (int)caught);
    block[2 * PAGE] ^= 0xff;
    CHECK(protect(block, SIZE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    verify(block, SIZE, 2, "opened");
    free(block);
    errno = 0;
    CHECK(protect(block + 1, PAGE, PROT_READ) == -1 && errno == EINVAL, "unaligned");
    said("mprotect");
}

static void calls(void)
{
    unsigned char *block = pages(3);
    int file[2];
    CHECK(pipe(file) == 0, "pipe");
    CHECK(protect(block, PAGE, PROT_READ) == 0 && protect(block + PAGE, PAGE, PROT_NONE) == 0, "mprotect");
    page_out(churn);
    CHECK(write(file[1], block + 10, 100) == 100, "write from a read-only page");
    CHECK(read(file[0], block + 10, 100) == -1 && errno == EFAULT, "read into a read-only page");
    CHECK(read(file[0], block + PAGE, 100) == -1 && errno == EFAULT, "read into a closed page");
    CHECK(write(file[1], block + PAGE, 100) == -1 && errno == EFAULT, "write from a closed page");
    CHECK(read(file[0], block + 2 * PAGE, 100) == 100, "read");
    CHECK(memcmp(block + 10, block + 2 * PAGE, 100) == 0, "the bytes that were written");
    CHECK(protect(block, 2 * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    verify(block, 2 * PAGE, 3, "after calls");
    close(file[0]), close(file[1]);
    free(block);
    said("system calls on protected pages");
}

static void execution(void)
{
    static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 }; /* mov eax, 42; ret */
    unsigned char *block = pages(4);
    for (int i = 0; i < PAGES; i++)
        memcpy(block + i * PAGE, code, sizeof code);
    CHECK(protect(block, SIZE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < PAGES; i++) {
            int (*function)(void) = (int (*)(void))(void *)(block + i * PAGE);
            CHECK(function() == 42, "function");
        }
        page_out(churn);
    }
    CHECK(faults(block + 5 * PAGE, 1), "code is not writable");
    CHECK(protect(block, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0, "mprotect");
    page_out(churn);
    block[PAGE + 1] = 43;
    int (*function)(void) = (int (*)(void))(void *)(block + PAGE);
    CHECK(function() == 43, "changed function");
    CHECK(protect(block, SIZE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    free(block);
    said("execution");
}

static void advice(void)
{
    unsigned char *block = pages(5);
    CHECK(advise(block + PAGE, 5 * PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
    page_out(churn);
    verify(block, PAGE, 5, "before");
    verify_zero(block + PAGE, 5 * PAGE, "MADV_DONTNEED");
    verify(block + 6 * PAGE, 3 * PAGE, 5 + 6 * PAGE, "behind");
    fill(block, SIZE, 6);
    page_out(churn);
    static const int hints[] = { MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_HUGEPAGE,
                                 MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_DOFORK, MADV_COLD,
                                 MADV_POPULATE_READ };
    for (unsigned i = 0; i < sizeof hints / sizeof *hints; i++)
        CHECK(advise(block, SIZE / 4, hints[i]) == 0, "hint %d", hints[i]);
    verify(block, SIZE, 6, "hints");
    CHECK(advise(block, SIZE, MADV_FREE) == 0, "MADV_FREE");
    fill(block, SIZE, 7);
    page_out(churn);
    verify(block, SIZE, 7, "written after MADV_FREE");
    CHECK(advise(block, SIZE, 12345) == -1 && errno == EINVAL, "unknown advice");
    free(block);
    said("madvise");
}

/* The same instruction touches the same page again and again, and each time it is absent. */
static void same_page(void)
{
    unsigned char *block = pages(6);
    for (int i = 0; i < 3000; i++) {
        CHECK(advise(block, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
        CHECK(*(volatile unsigned char *)block == 0, "round %d", i);
    }
    free(block);
    said("a page that is absent at every touch");
}

static void locks(void)
{
    enum { LOCKED = 20 };
    unsigned char *block = pages(8), present[LOCKED];
    CHECK(mlock(block + 100, LOCKED * PAGE - 200) == 0, "mlock");
    page_out(churn);
    CHECK(mincore(block, LOCKED * PAGE, present) == 0, "mincore");
    for (int i = 0; i < LOCKED; i++)
        CHECK(present[i] & 1, "page %d is not in memory", i);
    verify(block, LOCKED * PAGE, 8, "locked");
    fill(block, LOCKED * PAGE, 9);
    CHECK(mlock(block, PAGE) == 0, "mlock twice");
    CHECK(munlock(block, LOCKED * PAGE) == 0, "munlock");
    page_out(churn);
    verify(block, LOCKED * PAGE, 9, "unlocked");
    CHECK(mlock(block, LOCKED * PAGE) == 0, "mlock");
    free(block);
    page_out(churn);
    said("mlock, mincore");
}

static void holes(void)
{
    unsigned char *block = pages(10);
    CHECK(unmap(block + 4 * PAGE, 6 * PAGE) == 0, "munmap");
    page_out(churn);
    verify(block, 4 * PAGE, 10, "before the hole");
    CHECK(faults(block + 4 * PAGE, 0) && faults(block + 9 * PAGE, 1), "no fault in a hole");
    verify(block + 10 * PAGE, SIZE - 10 * PAGE, 10 + 10 * PAGE, "behind the hole");
    void *again = mmap(block + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(again == block + 5 * PAGE, "mmap into a hole");
    fill(again, PAGE, 11);
    page_out(churn);
    verify(again, PAGE, 11, "a mapping in a hole");
    /* Unmapped again, whole, since a block that is freed need not be. */
    CHECK(unmap(again, PAGE) == 0, "munmap");
    CHECK(protect(block, 4 * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    free(block);
    unsigned char *zero = calloc(1, SIZE);
    verify_zero(zero, SIZE, "calloc after munmap");
    fill(zero, SIZE, 12);
    page_out(churn);
    verify(zero, SIZE, 12, "a new block in a hole");
    free(zero);
    said("munmap");
}

static void moves(void)
{
    unsigned char *block = pages(13);
    unsigned char *moved = mremap(block + 8 * PAGE, 16 * PAGE, 32 * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED, "mremap");
    page_out(churn);
    verify(moved, 16 * PAGE, 13 + 8 * PAGE, "moved");
    verify_zero(moved + 16 * PAGE, 16 * PAGE, "grown");
    verify(block, 8 * PAGE, 13, "left");
    verify(block + 24 * PAGE, SIZE - 24 * PAGE, 13 + 24 * PAGE, "left");
    CHECK(moved != block + 8 * PAGE && faults(block + 8 * PAGE, 0), "no fault where it was");
    CHECK(mremap(block, 8 * PAGE, 4 * PAGE, 0) == block, "mremap to less");
    CHECK(faults(block + 4 * PAGE, 0), "no fault beyond");
    CHECK(mremap(block, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved + 1) == MAP_FAILED && errno == EINVAL, "unaligned");
    CHECK(mremap(block, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, block + PAGE) == MAP_FAILED && errno == EINVAL,
          "onto itself");
    verify(block, 4 * PAGE, 13, "after calls that were refused");
    free(block);
    CHECK(munmap(moved, 32 * PAGE) == 0, "munmap");
    said("mremap");
}

static void files(void)
{
    unsigned char *block = pages(14);
    FILE *file = tmpfile();
    CHECK(file != NULL, "tmpfile");
    for (int i = 0; i < 8 * PAGE; i++)
        putc(i % 251, file);
    fflush(file);
    void *at = mmap(block + 2 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fileno(file), 0);
    CHECK(at == block + 2 * PAGE, "mmap over a block");
    page_out(churn);
    for (int i = 0; i < 8 * PAGE; i++)
        CHECK(block[2 * PAGE + i] == i % 251, "byte %d of the file", i);
    verify(block, 2 * PAGE, 14, "before the mapping");
    block[2 * PAGE] = 77;
    unsigned char byte = 0;
    CHECK(msync(at, 8 * PAGE, MS_SYNC) == 0, "msync");
    CHECK(pread(fileno(file), &byte, 1, 0) == 1 && byte == 77, "the file has not changed");
    CHECK(msync(block, 2 * PAGE, MS_SYNC) == 0, "msync of a block");
    free(block);
    for (int i = 0; i < 4; i++) {
        block = pages(15 + i);
        verify(block, SIZE, 15 + i, "after a mapping");
        free(block);
    }
    CHECK(pread(fileno(file), &byte, 1, 1) == 1 && byte == 1, "the file has changed");
    fclose(file);
    said("mmap");
}

static void children(void)
{
    unsigned char *block = pages(20);
    CHECK(protect(block, 5 * PAGE, PROT_NONE) == 0 && protect(block + 5 * PAGE, PAGE, PROT_READ) == 0, "mprotect");
    page_out(churn);
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        CHECK(faults(block, 0) && faults(block + 5 * PAGE, 1), "no fault in the child");
        CHECK(protect(block, 5 * PAGE, PROT_READ) == 0, "mprotect");
        verify(block, SIZE, 20, "child");
        _exit(7);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x", status);
    CHECK(faults(block, 0) && faults(block + 5 * PAGE, 1), "no fault in the parent");
    CHECK(protect(block, SIZE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    verify(block, SIZE, 20, "parent");
    free(block);
    said("fork");
}

/* One thread closes and opens pages that others read, while all are paged. */
static unsigned char *shared;
static volatile int stop;

static void *reader(void *argument)
{
    while (!stop)
        verify(shared, SIZE, 30, "reader");
    return argument;
}

static void threads(void)
{
    shared = pages(30);
    pthread_t readers[3];
    for (int i = 0; i < 3; i++)
        readers[i] = start(reader, NULL);
    for (int i = 0; i < 300; i++) {
        CHECK(protect(shared, SIZE, PROT_READ) == 0, "mprotect");
        if (i % 100 == 0)
            page_out(churn);
        CHECK(protect(shared, SIZE, PROT_READ | PROT_WRITE) == 0, "mprotect");
        shared[i % SIZE] = shared[i % SIZE];
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i], NULL);
    verify(shared, SIZE, 30, "threads");
    free(shared);
    stop = 0;
    said("threads");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    /* Natively a block that is unmapped in part must be a mapping of its own, or free touches the hole. */
    mallopt(M_MMAP_THRESHOLD, 128 * KIB);
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction");
    for (raw = 0; raw < 2; raw++) {
        /* Raw calls are seen by the guard, which is there once memory is short. */
        if (raw && churn == 0)
            break;
        protections();
        calls();
        execution();
        advice();
        same_page();
        locks();
        holes();
        moves();
        files();
        children();
        threads();
    }
    return 0;
}

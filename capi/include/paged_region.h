/*
 * paged_region.h: memory at an address of your choice, of which only a few pages are mapped at a time.
 *
 * Link with -lvmpager. A region starts with nothing mapped. A touch of a page faults; the page is mapped, a
 * callback is told, and the instruction is repeated. When `max_pages` are mapped, another page leaves first:
 * to the swap file, or to a file of its own; when it is touched again it comes back with what it held.
 *
 *     struct paged_region_options options = { .base = (void *)0xf9f8c000, .pages = 20, .max_pages = 3,
 *                                             .backing = PAGED_FILES, .callback = mapped };
 *     struct paged_region *region = paged_region_create(&options);
 *     char *memory = paged_region_base(region);
 *     memory[0] = 1;                               // mapped(memory, 0, -1, NULL)
 *     paged_region_destroy(region);
 *
 * Units: sizes in pages where the name says so, else in bytes; pages are numbered from 0 at the base.
 *
 * Errors: a function that fails returns NULL or -1 and sets errno; nothing has changed then. What a touch
 * needs is had when the region is created, so touches fail only when the disk does, when `max_pages` is too
 * few for one instruction, or when more than some 32,000 mapped pages lie apart and the system's limit of mappings
 * (vm.max_map_count) is reached: then a line on stderr says what happened, and the touch is a SIGSEGV after all.
 *
 * Threads: any number may touch a region at the same time. The fault is served on an alternate stack, which
 * paged_region_create sets up for its thread; a thread whose stack pointer may lie in a region (a language
 * machine that keeps its data stack there) calls paged_region_thread first. Nobody may touch a region while
 * it is destroyed.
 *
 * Signals: the library takes SIGSEGV, which must not be blocked where a region is touched; a handler that the
 * program had before gets the faults that are not in a region. Other handlers need SA_ONSTACK where the stack
 * pointer may lie in a region.
 *
 * System calls do not fault: read(2) into a page that is not mapped fails with EFAULT.
 *
 * fork: a child has no regions; where its parent's are, a touch is a SIGSEGV. It may create its own.
 */
#ifndef VMPAGER_PAGED_REGION_H
#define VMPAGER_PAGED_REGION_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct paged_region;

enum { PAGED_READ = 1, PAGED_WRITE = 2, PAGED_EXEC = 4 }; /* protection: what the program may do */

enum paged_backing {
    PAGED_SWAP = 0, /* pages that leave go to one swap file, if they were written to */
    PAGED_FILES = 1 /* each page is the mapping of a file of its own */
};

/* Told of each page that was mapped, before the instruction is repeated: the address that was touched, the
 * page, the page that was unmapped for it or -1, and `context`. It runs in a signal handler with all signals
 * but SIGSEGV blocked, on the alternate stack, and may touch regions. */
typedef void paged_region_callback(void *address, int page, int unmapped, void *context);

/* All zero but `pages` and `max_pages` is valid. */
struct paged_region_options {
    void *base;            /* a multiple of the page size where nothing is mapped; NULL: anywhere */
    size_t pages;          /* 1 to 2^20 */
    size_t page_size;      /* a power of two, the system's page size to 1 MiB; 0: the system's */
    size_t max_pages;      /* mapped at a time, at least 1. One instruction may touch several pages, which all
                            * must be mapped at once: give it 3 or more, unless you know your instructions. One
                            * that cannot get on is a SIGSEGV, with a line on stderr */
    const char *policy;    /* who leaves: "fifo", "clock", "third-chance", "random"; NULL: "fifo" */
    int protection;        /* PAGED_READ, with PAGED_WRITE and PAGED_EXEC if wanted; 0: read and write */
    enum paged_backing backing;
    const char *directory; /* of the swap file or the pages' files, which have no names; NULL: $TMPDIR, else /tmp */
    paged_region_callback *callback;
    void *context;
};

/*
 * A new region; NULL with errno
 *   EINVAL   an option is out of range; a line on stderr says which, and what would be right
 *   EEXIST   something is mapped at `base` already
 *   ENOENT, ENOTDIR, EACCES, EROFS, ENOSPC, ENAMETOOLONG, EPERM   of `directory` (EPERM: files there cannot be
 *            executed; or `base` is so low that the system does not allow it)
 *   EMFILE   too many files: PAGED_FILES takes one for each page
 *   EFBIG    a file would be larger than the limit of file sizes (ulimit -f)
 *   ENOMEM   the kernel refused memory, or has no such addresses, or there are 1024 regions
 */
struct paged_region *paged_region_create(const struct paged_region_options *options);

/* Unmaps the region and forgets its contents. 0; or -1 with EINVAL: there is no such region (any more). */
int paged_region_destroy(struct paged_region *region);

/* Where it begins; NULL with EINVAL: there is no such region. */
void *paged_region_base(struct paged_region *region);

/* What has happened in a region. */
struct paged_region_counts {
    unsigned long first_touches; /* pages mapped for the first time, or again all zero */
    unsigned long swap_ins;      /* pages mapped again, after they were written back */
    unsigned long references;    /* faults that told the policy that a page is in use */
    unsigned long first_writes;  /* faults that told that a page is modified */
    unsigned long write_backs;   /* pages that left and had been modified */
    unsigned long drops;         /* pages that left unmodified */
};

/* Fills in the counts. 0; or -1 with EINVAL: there is no such region, or `counts` is NULL. */
int paged_region_count(struct paged_region *region, struct paged_region_counts *counts);

/* Gives the calling thread an alternate stack for faults, unless it has one. 0; or -1 with ENOMEM. */
int paged_region_thread(void);

#ifdef __cplusplus
}
#endif
#endif

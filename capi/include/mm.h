/*
 * mm.h: manages virtual memory of the program's own by a few frames, and logs every fault.
 *
 * Link with -lvmpager. The program puts a piece of its memory under management; from then on at most
 * `num_frames` of its pages are "resident": all others are protected, an access faults, and a page that is
 * brought in may have to evict another, as the policy says. The contents stay where they are: nothing is
 * copied, frames are numbers. So FIFO and third chance can be watched access by access.
 *
 *     static void *vm;
 *     void mm_logger(int page, int type, int evicted, int write_back, unsigned int phy_addr) { printf(...); }
 *     posix_memalign(&vm, 4096, 16 * 4096);
 *     mm_init(MM_THIRD, vm, 16 * 4096, 4, 4096);
 *     ((char *)vm)[5 * 4096] = 1;                  // mm_logger(5, 1, -1, 0, 0x0000)
 *
 * Units: sizes in bytes, pages from 0 at `vm`, frames from 0.
 *
 * Threads: one thread is meant to use the memory, and then the log is exact. Several may: each fault is
 * served and logged once, in an order that the threads race for. mm_init and mm_end must not be called for
 * memory that another thread is using.
 *
 * Signals: the library takes SIGSEGV, which must not be blocked. A handler that the program had before gets the
 * faults that are not in managed memory. The fault is served on an alternate stack, which mm_init sets up for its
 * thread if it has none. System calls do not fault: read(2) into a protected page fails with EFAULT. An instruction
 * that touches more pages at once than there are frames cannot get on: a line on stderr says so, and it is a
 * SIGSEGV; so it is when more than some 32,000 resident pages lie apart and vm.max_map_count is reached.
 *
 * fork: in a child the memory is ordinary memory again, with what it held; the child may call mm_init itself.
 */
#ifndef VMPAGER_MM_H
#define VMPAGER_MM_H

#ifdef __cplusplus
extern "C" {
#endif

enum policy_type {
    MM_FIFO = 1,  /* the page that came in first leaves */
    MM_THIRD = 2, /* third chance: a page whose R is set loses R; then a dirty one is spared once more */
    MM_CLOCK = 3  /* second chance: a page whose R is set loses R */
};

/*
 * Puts `vm_size` bytes at `vm` under management, with nothing resident.
 *
 * `vm` must be at a multiple of the system's page size (memalign, mmap) and readable and writable;
 * `page_size` a multiple of the system's; `vm_size` of `page_size`; `num_frames` at least 1.
 *
 * Memory that is managed already, or overlaps such memory, is first released and begins anew; memory
 * elsewhere is managed beside it.
 *
 * Bad arguments: a line on stderr says which and why, errno is EINVAL (ENOMEM and others: what the kernel
 * said), and the memory can be used as if mm_init had not been called.
 *
 * There is one symbol for two editions of this call, with the arguments in another order; its first argument
 * tells which it is. Define MM_INIT_VM_FIRST before this header for the older one.
 */
#ifdef MM_INIT_VM_FIRST
void mm_init(void *vm, int vm_size, int num_frames, int page_size, int policy);
#else
void mm_init(enum policy_type policy, void *vm, int vm_size, int num_frames, int page_size);
#endif

/*
 * Ends the management of the memory at `vm`: it is readable and writable again, and can be freed. 0; or -1
 * with errno EINVAL if `vm` is not the begin of managed memory.
 * (Memory that is freed without it keeps working, whoever gets it, fault by fault.)
 */
int mm_end(void *vm);

/*
 * Supplied by the program, if it wants a log: called for every fault, after it was served and before the
 * access is repeated. The library looks for it when mm_init is called, in the program and all its libraries.
 *
 * fault_type   0 read of a page that is not resident
 *              1 write to a page that is not resident
 *              2 write to a page that was not written since it came in
 *              3 read of a page whose R had been reset
 *              4 write to a page whose R had been reset, and that is dirty already
 * evicted_page the page that had to leave, or -1
 * write_back   1 if that page was dirty
 * phy_addr     frame * page_size + offset of the access in its page
 *
 * It runs in a signal handler, with all signals but SIGSEGV blocked; it may touch managed memory.
 */
#ifdef __GNUC__
__attribute__((visibility("default"))) /* or the library would not find it under -fvisibility=hidden */
#endif
void mm_logger(int virt_page, int fault_type, int evicted_page, int write_back, unsigned int phy_addr);

/* Of the memory that mm_init was called for last; 0, or -1, if there is none. */
unsigned long mm_report_npage_faults(void);  /* pages brought in: faults of types 0 and 1 */
unsigned long mm_report_nwrite_backs(void);  /* evictions of dirty pages */
unsigned long mm_nsigsegvs(void);            /* faults of all types */
int mm_report_npage_evicts(int page);        /* how often this page left; -1 if there is no such page */
int mm_report_nframe_evicts(int frame);      /* how often a page left this frame; -1 if there is no such */

#ifdef __cplusplus
}
#endif
#endif

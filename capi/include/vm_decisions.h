/* vm_decisions.h: the external pager's decisions for C, on a machine that the caller provides.
 *
 * It is what src/vm_pager.cc is made of; use vm_pager.h unless your page table entries, disk or physical memory look
 * different. Addresses are those of the processes' arenas (0x60000000 and up, pages of 8192 bytes), pages
 * are counted from the arena's first.
 *
 * There is one pager in a program. One call at a time, from any thread, and none from within a callback: such a
 * call prints a line on stderr and aborts. */
#ifndef VM_DECISIONS_H
#define VM_DECISIONS_H

#ifdef __cplusplus
extern "C" {
#endif

/* The machine. */
struct vm_machine {
    /* Fills a physical page with zeros. */
    void (*clear)(unsigned ppage);
    /* Reads a disk block into a physical page. */
    void (*disk_read)(unsigned block, unsigned ppage);
    /* Writes a physical page to a disk block. */
    void (*disk_write)(unsigned block, unsigned ppage);
    /* The page table entry of a page of process `pid` says this from now on. */
    void (*set_entry)(int pid, unsigned page, unsigned ppage, int read_enable, int write_enable);
};

/* Starts, or starts anew. 0; -1 if memory_pages is 0 or more than 2^20, or memory is short. */
int vm_decisions_init(unsigned memory_pages, unsigned disk_blocks, const struct vm_machine *machine);

/* A new process. 0; -1 if there is one of that number, or there are too many (1024). */
int vm_decisions_create(int pid);

/* The process is the current one. 0; -1 if there is no such process. */
int vm_decisions_switch(int pid);

/* The current process could not load from (write = 0) or store to an address. 0; -1 if it is not in a valid page. */
int vm_decisions_fault(unsigned long address, int write);

/* The address of the current process's next page; 0 if there is none to be had. */
unsigned long vm_decisions_extend(void);

/* Has `take` called for each piece of a message: `length` bytes from `offset` on in a physical page, which is the
 * page's during that call only. 0; -1, without a call, if a byte is not in a valid page or len is 0. */
int vm_decisions_syslog(unsigned long address, unsigned len,
                        void (*take)(void *context, unsigned ppage, unsigned offset, unsigned length), void *context);

/* The current process has ended; then none is current. */
void vm_decisions_destroy(void);

#ifdef __cplusplus
}
#endif

#endif

/* vm_pager.h: the external pager's seven functions, and what the infrastructure gives to them. C++.
 *
 * Two readers: an infrastructure (a simulated MMU, disk and scheduler) that calls the seven functions, and
 * src/vm_pager.cc beside libvmpager, which implements them on the engine. To link with an infrastructure that brings a
 * vm_pager.h of its own, compile vm_pager.cc with that header first on the include path: it names
 * the fields of a page table entry and never counts their bits.
 *
 * Pages and blocks have VM_PAGESIZE bytes. Physical pages are numbered 0 to memory_pages - 1 and disk blocks 0
 * to disk_blocks - 1, as vm_init says; both are handed out lowest first. The pager is single-threaded: one call at
 * a time, and none from within disk_read or disk_write. Impossible calls (a process that does not exist, a
 * call without a current process) print a line on cerr and abort.
 */
#ifndef _VM_PAGER_H_
#define _VM_PAGER_H_

#include <sys/types.h>

/* ---- the pager ---- */

/* The pager starts. Called again, it starts anew: every process is forgotten. */
extern void vm_init(unsigned int memory_pages, unsigned int disk_blocks);

/* A new process, whose arena has no valid page. It runs when it is switched to. */
extern void vm_create(pid_t pid);

/* The process `pid` runs from now on: page_table_base_register points to its page table. */
extern void vm_switch(pid_t pid);

/* The current process could not access `addr`: a store if write_flag, else a load. 0 when the access can be
 * repeated, -1 when the address is not in a valid page. */
extern int vm_fault(void *addr, bool write_flag);

/* The current process has ended: its page table, physical pages and disk blocks are free. Nothing is written. */
extern void vm_destroy();

/* Makes the lowest invalid page of the current process valid; NULL when no disk block is left for it or the arena
 * is used up. */
extern void *vm_extend();

/* Prints "syslog \t\t\t", the message and a newline on cout. 0, or -1 and nothing is printed when len is 0 or a
 * byte of the message is not in a valid page. The pages are read as by loads of the process. */
extern int vm_syslog(void *message, unsigned int len);

/* ---- given to it ---- */

/* Reads a disk block into a physical page. */
extern void disk_read(unsigned int block, unsigned int ppage);

/* Writes a physical page to a disk block. */
extern void disk_write(unsigned int block, unsigned int ppage);

/* Physical memory: byte i of physical page p is ((char *) pm_physmem)[p * VM_PAGESIZE + i]. */
extern void *pm_physmem;

/* ---- the arena ---- */

#define VM_PAGESIZE 8192
#define VM_ARENA_BASEADDR ((void *) 0x60000000)
#define VM_ARENA_BASEPAGE (0x60000000u / VM_PAGESIZE)
#define VM_ARENA_SIZE 0x20000000

/* ---- the MMU ---- */

/* read_enable = 0: loads fault; write_enable = 0: stores fault; both 0: ppage means nothing. */
typedef struct {
    unsigned long ppage : 20;      /* bit 0-19 */
    unsigned int read_enable : 1;  /* bit 20 */
    unsigned int write_enable : 1; /* bit 21 */
} page_table_entry_t;

/* ptes[0] is the entry of virtual page VM_ARENA_BASEPAGE. */
typedef struct {
    page_table_entry_t ptes[VM_ARENA_SIZE / VM_PAGESIZE];
} page_table_t;

/* The page table that the MMU uses: defined by the infrastructure, set by the pager. */
extern page_table_t *page_table_base_register;

#endif /* _VM_PAGER_H_ */

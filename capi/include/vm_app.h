/* vm_app.h: for applications of the external pager.
 *
 * An application's arena is the range of addresses from VM_ARENA_BASEADDR on, VM_ARENA_SIZE bytes in pages of
 * VM_PAGESIZE. At first no page of it is valid. vm_extend makes one page after the other valid; a valid
 * page is zero at first, and loads and stores work on it as on any memory, while the pager (`vmalloc pager
 * -m PAGES`) keeps at most PAGES pages of all applications together in memory and the others on its disk.
 *
 * Link with -lvmpager. A program that includes this header becomes an application when it starts, before main:
 * it connects to the pager and waits for its turn. The pager's socket is found by $VM_PAGER, else at
 * $XDG_RUNTIME_DIR/vm-pager/socket, else at /tmp/vm-pager-UID/socket. Without a pager the program ends with a
 * message and status 69.
 *
 * One application runs at a time, until it calls vm_yield or ends. A process made by fork is a new
 * application, with an arena that has no valid page; it connects with its first call or by vm_app_start.
 *
 * Threads: the three calls may come from any thread, one at a time; one thread at a time may use the arena.
 * They are not for signal handlers.
 *
 * A load or store to a page that is not valid is SIGSEGV, as without a pager. A program that has a handler for SIGSEGV
 * installs it first and then makes any of these calls: the arena's faults come to the library again, and all others
 * to that handler, on an alternate stack. System calls cannot be handed
 * memory of the arena: copy it first. (printf and cout copy what is short; fwrite, cout.write and strings of a page and
 * more go to the kernel from where they lie.)
 *
 * If the pager ends first, one line on stderr says so; from then on vm_extend returns NULL and vm_syslog -1 with
 * errno ENOTCONN, vm_yield returns at once, and the first access to a page that is not mapped is SIGBUS.
 */
#ifndef _VM_APP_H_
#define _VM_APP_H_

/* Bytes in a page. */
#define VM_PAGESIZE 8192

/* Where the arena begins, and its size in bytes. */
#ifndef VM_ARENA_BASEADDR
#define VM_ARENA_BASEADDR ((void *) 0x60000000)
#endif
#ifndef VM_ARENA_SIZE
#define VM_ARENA_SIZE 0x20000000
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the lowest invalid page of the arena valid and returns its lowest address: 0x60000000 at first, then
 * 0x60002000, and so on. NULL, and nothing changes, when the disk has no block left for it (errno ENOSPC), or the
 * whole arena is valid (ENOMEM). */
extern void *vm_extend(void);

/* Has the pager print `len` bytes from `message` on, which must all lie in valid pages. They may contain any
 * byte, and span any number of pages. 0 on success; -1, and nothing is printed, if len is 0 or a byte
 * is not in a valid page (errno EFAULT). */
extern int vm_syslog(void *message, unsigned int len);

/* Lets the other applications run, each until it yields or ends, and returns when the turn has come round. */
extern void vm_yield(void);

/* Connects to the pager and waits for the turn; does nothing in a process that is connected. The constructor
 * below calls it, so a program need not. */
extern void vm_app_start(void);

#ifdef __cplusplus
}
#endif

#if defined(__GNUC__) && !defined(VM_APP_NO_START)
__attribute__((constructor, unused)) static void vm_app_start_at_load(void)
{
    vm_app_start();
}
#endif

#endif /* _VM_APP_H_ */

/* vmalloc.h: what libvmalloc.so offers beyond the malloc family.
 *
 * Programs need none of this to be paged. All functions may be called from any thread.
 * A program that is also to run without the library declares them weak.
 */
#ifndef VMALLOC_H
#define VMALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who asks for memory: the program's threads, or the thread library itself. */
#define THREADREQ 0
#define LIBRARYREQ 1

/* A block of `size` bytes, aligned to 16, for a request from FILE:LINE.
 * THREADREQ: as malloc(size). LIBRARYREQ: memory of the library's, on pages that are no thread's and never paged out.
 * NULL and errno ENOMEM when there is no such memory. */
void *myallocate(size_t size, const char *file, int line, int req);

/* Frees a block of myallocate, malloc or shalloc; NULL is allowed. A pointer that is none is
 * reported on stderr with FILE and LINE, and the program is aborted. */
void mydeallocate(void *block, const char *file, int line, int req);

/* A block of `size` bytes, aligned to 16, in the shared region (VMALLOC_SHARED bytes, four pages by
 * default), which is never paged out and never handed out by malloc. NULL and errno ENOMEM when the
 * region is full. */
void *shalloc(size_t size);

/* Frees a block of shalloc; free does as well. */
void shfree(void *block);

#ifdef __cplusplus
}
#endif
#endif

/* The assignment's own spelling: VMALLOC_MACROS makes every malloc and free of a file tell where it stands. What declares
 * these functions is included before, here or by the file, for a declaration would be taken for a call; and <cstdlib> takes such
 * macros away. */
#if defined VMALLOC_MACROS && !defined VMALLOC_MACROS_DEFINED
#define VMALLOC_MACROS_DEFINED
#ifdef __cplusplus
#include <cstdlib>
#endif
#include <malloc.h>
#include <stdlib.h>
#undef malloc
#undef free
#define malloc(x) myallocate(x, __FILE__, __LINE__, THREADREQ)
#define free(x) mydeallocate(x, __FILE__, __LINE__, THREADREQ)
#endif

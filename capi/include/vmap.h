/*
 * vmap.h: virtual memory maps, each with an owner, over one physical memory and one swap file.
 *
 * Link with -lvmpager. A map is the virtual memory of one process, played by threads: each thread says by a
 * number whose it is (vmap_select_owner). Blocks of a map are reached by copying to and from them only; the
 * addresses that vmap_malloc gives cannot be dereferenced. Pages are brought in and evicted as the copies
 * need them; maps may hold more than the physical memory together.
 *
 *     vmap_select_owner(1);
 *     struct VMap *map = vmap_create();
 *     int *numbers = vmap_malloc(map, 1000 * sizeof(int)), value = 7;
 *     vmap_copy_to_memory(map, &numbers[10], &value, sizeof value);
 *     vmap_copy_from_memory(map, &value, &numbers[10], sizeof value);
 *     vmap_free(map, numbers);
 *     vmap_destroy(map);
 *
 * Units: sizes in bytes.
 *
 * Errors: a function that fails returns NULL or an error number (negative), and vmap_error() gives that number
 * to the same thread until its next call. A failing call changes nothing, except that a copy which meets
 * VMAP_EIO may have copied a part. Only memory that is read or written for the caller (`data`, options) must
 * be what the caller says: a bad address there faults as in memcpy.
 *
 * Threads: every function may be called by any number of threads at the same time. Threads of one owner
 * allocate safely; copies of one map run side by side, and wait only for vmap_malloc and vmap_free of the same
 * map. Different maps never wait for each other's disk. Who copies to bytes that another thread copies at the
 * same time gets some of both.
 *
 * fork: a child has no maps, and may create its own. Not to be called in signal handlers.
 */
#ifndef VMPAGER_VMAP_H
#define VMPAGER_VMAP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct VMap;

enum vmap_errors {
    VMAP_OK = 0,
    VMAP_ENOMAP = -1,    /* there is no such map: never created, or destroyed */
    VMAP_EOWNER = -2,    /* the map belongs to another owner than this thread's */
    VMAP_EPOINTER = -3,  /* the address is in no block of this map: never allocated, or freed */
    VMAP_EMIDDLE = -4,   /* vmap_free: the address is inside a block, not its begin */
    VMAP_ERANGE = -5,    /* the range goes past the end of its block */
    VMAP_ESIZE = -6,     /* the size is not positive */
    VMAP_EDATA = -7,     /* `data`, or the struct to fill in, is NULL */
    VMAP_ENOMEM = -8,    /* the map, or memory and swap file together, have no room for it */
    VMAP_EIO = -9,       /* the swap file could not be read, or written */
    VMAP_EBUSY = -10,    /* vmap_setup: there are maps */
    VMAP_EOPTION = -11,  /* vmap_setup: an option is out of range; a line on stderr says which */
    VMAP_ESYSTEM = -12   /* the kernel refused memory or files; a line on stderr says which */
};

/* The text of an error number; never NULL. */
const char *vmap_strerror(int error);

/* The error of the calling thread's last call; VMAP_OK if it succeeded. */
int vmap_error(void);

/* How large everything is. Zero, or NULL, is the default. */
struct vmap_options {
    size_t memory;         /* physical memory, in whole pages of 4096, at least 1 page; default 8 MiB */
    size_t swap;           /* the swap file: all blocks of all maps together fit into this, or into the memory if
                            * that is larger; default 16 MiB */
    size_t space;          /* virtual memory of a map; default memory + swap */
    const char *policy;    /* "fifo", "clock", "third-chance", "random"; default "clock" */
    const char *directory; /* of the swap file, which has no name; default $TMPDIR, else /tmp */
};

/* Sets the sizes for the maps that are created from now on. Without it the defaults hold. 0; or VMAP_EBUSY as
 * long as there are maps, VMAP_EOPTION, VMAP_ESYSTEM. */
int vmap_setup(const struct vmap_options *options);

/* Whose the calling thread is from now on; 0 before the first call. Returns whose it was. */
int vmap_select_owner(int owner);

/* A new map, owned by the calling thread's owner. NULL: VMAP_ENOMEM (at most 1024 maps), VMAP_ESYSTEM. */
struct VMap *vmap_create(void);

/* Destroys a map with all its blocks. 0; or VMAP_ENOMAP, VMAP_EOWNER. */
int vmap_destroy(struct VMap *vmap);

/* A block of `size` bytes, aligned to 16. What it holds is undefined, but never another owner's. NULL:
 * VMAP_ENOMAP, VMAP_EOWNER, VMAP_ESIZE, VMAP_ENOMEM. */
void *vmap_malloc(struct VMap *vmap, int size);

/* Frees a block; NULL is no block, and no error. Its memory is anybody's then: a block of any map that finds no other
 * room gets it. vmap_error() tells: VMAP_ENOMAP, VMAP_EOWNER, VMAP_EPOINTER,
 * VMAP_EMIDDLE. */
void vmap_free(struct VMap *vmap, void *data);

/* Copies `size` bytes from `data` to `mem`, which is in a block of the map. 0; or VMAP_ENOMAP, VMAP_EOWNER,
 * VMAP_EPOINTER, VMAP_ERANGE, VMAP_ESIZE, VMAP_EDATA, VMAP_EIO. */
int vmap_copy_to_memory(struct VMap *vmap, void *mem, void *data, int size);

/* Copies `size` bytes to `data` from `mem`, which is in a block of the map. Errors as above. */
int vmap_copy_from_memory(struct VMap *vmap, void *data, void *mem, int size);

/* What has happened since the last vmap_setup, or the first map. */
struct vmap_statistics {
    unsigned long frames;      /* of physical memory */
    unsigned long frames_used; /* those that hold pages now */
    unsigned long slots_used;  /* pages that are in the swap file now */
    unsigned long maps;        /* maps that exist */
    unsigned long faults;      /* pages that were brought in, or whose use was noted */
    unsigned long swap_reads;  /* pages read from the swap file */
    unsigned long swap_writes; /* pages written to it */
    unsigned long swap_errors; /* reads and writes that failed */
};

/* 0; or VMAP_EDATA. */
int vmap_statistics(struct vmap_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif

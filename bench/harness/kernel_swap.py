"""20 MiB touched at random in 8 MiB: libvmalloc.so against the kernel's own swap, under a memory cgroup of that size.

Needs root and changes the machine while it runs (memory_group.py): one cgroup, one swap file on the disk where ours lies.

The kernel's swap writes to the disk; our swap file passes through the page cache, which the arena does not bound. So the
library is measured a second time inside a cgroup, where its page cache is bounded too."""
import contextlib
import os

from . import faults
from .memory_group import MemoryGroup, Skip, swap_on
from .run import median, program, run


def walk(accesses, group):
    """random_access under the C library's malloc in the group; raises if it fails."""
    done = run([program("random_access"), str(faults.TOUCHED), str(accesses)], before_exec=group.join)
    if done.failure:
        raise Skip(f"random_access in the cgroup: {done.failure}")
    return done.nanoseconds() / accesses


def baseline(group):
    """What a cgroup is charged for the same program with nearly nothing to touch."""
    done = run([program("random_access"), "1", "1"], before_exec=group.join)
    if done.failure:
        raise Skip(f"random_access in a cgroup: {done.failure}")
    return group.peak()


def measure(vmalloc, rounds, accesses, swap_dir, notes):
    try:
        if os.geteuid():
            raise Skip("needs root")
        with contextlib.ExitStack() as stack:
            return compare(vmalloc, rounds, accesses, swap_dir, notes, stack)
    except Skip as why:
        notes.append(f"swap: skipped: {why}")
        return []


def least_that_survives(group, arena, accesses):
    """The kernel may kill rather than wait for its swap when the limit is tight: it gets as much more as it needs."""
    for extra in (0, 1 << 20, 2 << 20, 4 << 20, 8 << 20):
        group.limit(arena + extra, swap=True)
        done = run([program("random_access"), str(faults.TOUCHED), str(accesses)], before_exec=group.join)
        if not done.failure:
            return extra
    raise Skip(f"random_access in the cgroup, even with 8 MiB more: {done.failure}")


def compare(vmalloc, rounds, accesses, swap_dir, notes, stack):
    arena = 8 << 20
    chosen = faults.settings(faults.ARENA, faults.SWAP, swap_dir)
    first = MemoryGroup("baseline", stack)
    native = MemoryGroup("native", stack)
    inside = MemoryGroup("vmalloc", stack)
    base = baseline(first)
    swap_on(swap_dir, 64 << 20, stack)
    extra = least_that_survives(native, arena + base, accesses)
    if extra:
        notes.append(f"swap: in a cgroup of {(arena + base) >> 10:,} KiB the kernel killed the program: its cgroup has {extra >> 20} MiB more")

    free, kernel, ours, bounded = [], [], [], []
    inside_limit = arena + base + (2 << 20)  # the library itself, its stacks, its tables
    doors = {"alone": (ours, None), "in a cgroup": (bounded, inside.join)} if vmalloc else {}
    if vmalloc:
        inside.limit(inside_limit, swap=False)
    for _ in range(rounds):
        free.append(run([program("random_access"), str(faults.TOUCHED), str(accesses)]).nanoseconds() / accesses)
        kernel.append(walk(accesses, native))
        for where, (results, join) in list(doors.items()):
            done = faults.vmalloc_walk(vmalloc, faults.TOUCHED, accesses, chosen, before_exec=join)
            results.append(done.per_access)
            if done.failure:
                notes.append(f"swap: vmalloc {where}: {done.failure}")
                results.clear()
                del doors[where]
    notes.append(f"swap: cgroup v{1 if native.v1 else 2} of {(arena + base + extra) >> 10:,} KiB, swap file in {swap_dir}; "
                 f"with RAM enough an access costs {median(free):,.0f} ns")
    if "in a cgroup" in doors:
        notes.append(f"swap: the cgroup that bounds vmalloc has {inside_limit >> 10:,} KiB and may not swap")
    rows = [faults.line("access, 20 MiB at random in 8 MiB: vmalloc / kernel swap", ours, kernel, "-")]
    if vmalloc:
        rows.append(faults.line("the same, vmalloc's page cache bounded by a cgroup too", bounded, kernel, "-"))
    return rows

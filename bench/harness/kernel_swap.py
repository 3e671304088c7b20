"""20 MiB touched at random in 8 MiB: libvmalloc.so against the kernel's own swap, under a memory cgroup of that size.

Needs root and changes the machine while it runs: one cgroup, one swap file on the disk where ours lies. Both are undone
on every way out (an ExitStack; SIGTERM and SIGINT arrive as exceptions), in the order process, swap, file, cgroup.

The kernel's swap writes to the disk; our swap file passes through the page cache, which the arena does not bound. So the
library is measured a second time inside a cgroup, where its page cache is bounded too."""
import contextlib
import os
import subprocess
import sys
import tempfile
import time

from . import faults
from .run import first_line, median, program, run

V1, V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"


class Skip(Exception):
    """Why this machine cannot be asked."""


def write(path, value):
    with open(path, "w") as file:
        file.write(str(value))


class MemoryGroup:
    """A memory cgroup, version 1 or 2, which the processes that call join() before exec belong to."""

    def __init__(self, name, stack):
        self.v1 = os.path.exists(f"{V1}/memory.limit_in_bytes")
        if not self.v1:
            self.find_v2()
        self.path = os.path.join(V1 if self.v1 else V2, f"vmalloc-bench-{os.getpid()}-{name}")
        stack.callback(self.remove)  # before mkdir, so that a signal between the two leaves nothing behind
        try:
            os.mkdir(self.path)
        except OSError as error:
            raise Skip(f"cannot make a cgroup: {error}") from error

    def find_v2(self):
        try:
            with open(f"{V2}/cgroup.controllers") as file:
                here = "memory" in file.read().split()
            with open(f"{V2}/cgroup.subtree_control") as file:
                given = "memory" in file.read().split()
            if here and not given:
                write(f"{V2}/cgroup.subtree_control", "+memory")
        except OSError as error:
            raise Skip(f"no memory cgroup: {error}") from error
        if not here:
            raise Skip("the kernel offers no memory cgroup here")

    def limit(self, size, swap):
        """At most `size` bytes of RAM; `swap` says whether the rest may be swapped out."""
        try:
            if self.v1:
                write(f"{self.path}/memory.limit_in_bytes", size)
                write(f"{self.path}/memory.swappiness", 60 if swap else 0)
            else:
                write(f"{self.path}/memory.max", size)
                write(f"{self.path}/memory.swap.max", "max" if swap else 0)
        except OSError as error:
            raise Skip(f"cannot limit the cgroup: {error}") from error

    def peak(self):
        name = "memory.max_usage_in_bytes" if self.v1 else "memory.peak"
        try:
            with open(f"{self.path}/{name}") as file:
                return int(file.read())
        except OSError as error:  # memory.peak is of Linux 5.19
            raise Skip(f"cannot read the cgroup's peak: {error}") from error

    def join(self):
        write(f"{self.path}/cgroup.procs", 0)

    def remove(self):
        for _ in range(50):  # a process that has just ended may still be counted
            try:
                os.rmdir(self.path)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)
        print(f"bench: could not remove {self.path}", file=sys.stderr)


def tool(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise Skip(f"{command[0]}: {error}") from error
    if done.returncode:
        raise Skip(first_line(done.stderr.strip()) or f"{command[0]} failed")


def swap_on(directory, size, stack):
    """A swap file of `size` bytes, first in line, until the stack unwinds."""
    fd, path = tempfile.mkstemp(prefix="vmalloc-bench-swap-", dir=directory)
    stack.callback(os.unlink, path)
    with os.fdopen(fd, "wb") as file:
        for _ in range(size >> 20):  # really written: swapon refuses holes
            file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    tool("mkswap", path)
    # Before swapon, so that a signal between the two leaves no swap behind; swapoff of what is not on is harmless.
    stack.callback(subprocess.run, ["swapoff", path], stderr=subprocess.DEVNULL)
    tool("swapon", "-p", "32767", path)


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

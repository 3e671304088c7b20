"""Memory cgroups, version 1 or 2, and a swap file: what bounds a program's memory from outside.

Both change the machine while they are there, and need root. Each undoes itself on every way out (an ExitStack; SIGTERM and
SIGINT arrive as exceptions), in the order process, swap, file, cgroup."""
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time

from .run import first_line

V1, V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
numbers = itertools.count()


class Skip(Exception):
    """Why this machine cannot be asked."""


def write(path, value):
    with open(path, "w") as file:
        file.write(str(value))


class MemoryGroup:
    """A memory cgroup which the processes that call join() before exec belong to."""

    def __init__(self, name, stack):
        self.v1 = self.is_v1()
        if not self.v1:
            self.find_v2()
        self.path = os.path.join(V1 if self.v1 else V2, f"vmalloc-bench-{os.getpid()}-{next(numbers)}-{name}")
        stack.callback(self.remove)  # before mkdir, so that a signal between the two leaves nothing behind
        try:
            os.mkdir(self.path)
        except OSError as error:
            raise Skip(f"cannot make a cgroup: {error}") from error

    @staticmethod
    def is_v1():
        return os.path.exists(f"{V1}/memory.limit_in_bytes")

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

    def killed(self):
        """Whether the kernel killed a process because the limit was met."""
        with open(f"{self.path}/{'memory.oom_control' if self.v1 else 'memory.events'}") as file:
            return dict(line.split() for line in file).get("oom_kill", "0") != "0"

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


class Waiting:
    """While it is entered, processes of a version-1 cgroup wait at the limit for memory to be written out; they are not killed.

    The kernel lets them sleep if killing is off, and wakes them when the limit grows: so it grows by STEP for a moment, and goes
    back as soon as the kernel has made room. `stalls` counts how often that was needed."""

    STEP = 128 << 10

    def __init__(self, group, size):
        self.group, self.size, self.stalls, self.done = group, size, 0, threading.Event()
        self.thread = threading.Thread(target=self.attend)

    def set_limit(self, size):
        try:
            write(f"{self.group.path}/memory.limit_in_bytes", size)
            return True
        except OSError:  # EBUSY: no room could be made yet
            return False

    def attend(self):
        grown = 0
        while not self.done.wait(0.001):
            with open(f"{self.group.path}/memory.oom_control") as file:
                stalled = dict(line.split() for line in file)["under_oom"] == "1"
            if stalled:
                self.stalls += 1
                grown += self.STEP
                self.set_limit(self.size + grown)
            elif grown and self.set_limit(self.size):
                grown = 0

    def __enter__(self):
        write(f"{self.group.path}/memory.oom_control", 1)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


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


def swapped():
    """Bytes that the kernel has swapped in and out since the machine started."""
    with open("/proc/vmstat") as file:
        counts = dict(line.split() for line in file)
    return [int(counts[name]) * os.sysconf("SC_PAGE_SIZE") for name in ("pswpin", "pswpout")]

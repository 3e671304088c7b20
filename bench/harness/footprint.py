"""How much memory a job takes natively: the share that comes from malloc, which is squeezed, and the rest, which is not.

Natively, glibc is told to take everything from one place (the C library is named in LD_PRELOAD, for programs that bring a malloc
of their own), so what of that place is resident is what malloc holds; a cgroup without a limit says what the program is
charged in all: anonymous memory, page tables, pages of files that were in memory for nobody before.

heap: the most bytes that were allocated at once, by the library's statistics in an arena in which nothing is paged, or the resident part
of glibc's heap at its largest if that is less (a program may never touch all that it asks for).
other: the cgroup's peak less the resident part of glibc's heap at its largest."""
import contextlib
import threading
from dataclasses import dataclass

from .job_run import JobRun
from .memory_group import MemoryGroup

ONE_PLACE = {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.arena_max=1:glibc.malloc.trim_threshold=1099511627776"}
ROOMY = {"VMALLOC_ARENA": "1G", "VMALLOC_SWAP": "64M"}


@dataclass
class Footprint:
    failure: str = ""
    heap: int = 0
    other: int = 0
    seconds: float = 0.0
    digest: str = ""

    def total(self, fraction):
        return self.other + int(self.heap * fraction)


def brk_resident(pid):
    """Resident bytes of the heap that brk made; 0 where there is none (yet, or any more)."""
    try:
        with open(f"/proc/{pid}/smaps") as smaps:
            inside = False
            for line in smaps:
                inside = inside or line.endswith("[heap]\n")
                if inside and line.startswith("Rss:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


class Watch:
    """What brk_resident() said last of a process that runs. As glibc gives nothing back, that is its peak."""

    def __init__(self, pid):
        self.pid, self.last, self.done = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.done.wait(0.005):
            self.last = brk_resident(self.pid) or self.last

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def measure(job, directory, vmalloc):
    plain = JobRun(job, directory).wait()  # warms the files up, so that they are charged to nobody
    ours = JobRun(job, directory, vmalloc, ROOMY).wait()
    with contextlib.ExitStack() as stack:
        group = MemoryGroup("whole", stack)
        native = JobRun(job, directory, settings=ONE_PLACE, group=group, preload="libc.so.6")
        with Watch(native.pid) as watch:
            whole = native.wait()
        peak = group.peak()
    failure = plain.failure or (ours.failure and f"vmalloc: {ours.failure}") or whole.failure
    if not failure and ours.stats["faults"]["swap_in"]:
        failure = "paged even in an arena of 1G"
    return Footprint(failure, min(ours.stats.get("malloc", {}).get("bytes_peak", 0), watch.last), peak - watch.last,
                     plain.seconds, plain.digest)

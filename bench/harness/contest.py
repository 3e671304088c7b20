"""The contest: real programs in less memory than they ask for, ours beside what a user would pick instead.

Columns alternate in each round: natively; under the kernel's swap in a memory cgroup with glibc's malloc (or the program's own)
and with mimalloc; ours with an arena of the fraction of the heap, page cache free; ours inside a cgroup of the same total as
the kernel's, where all is counted: arena, tables, page cache, the library itself.

The kernel may kill rather than wait when its limit is tight. A killed run is repeated, up to ATTEMPTS times. Then the
kernel's columns run with killing off, where the kernel has that (cgroup version 1), and wait at the limit. Ours, and the kernel's
elsewhere, get more, step by step, until one run survives: kills and what was added are told with the figure, and for ours an
addition is a miss of the aim. A run beyond `patience` times the native one is ended, counts as that much, and is not tried in later
rounds; a cell of ours whose killed runs took as long together is given up."""
import contextlib
import os
import tempfile
from dataclasses import dataclass, field

from . import contest_report, footprint, inputs, jobs, report
from .job_run import JobRun
from .memory_group import MemoryGroup, Skip, Waiting, swap_on
from .run import Allocator, median

FORMS = ["kernel", "free", "counted"]
ATTEMPTS = 4
EXTRAS = [mib << 20 for mib in (1, 2, 4, 8, 16)]
KERNEL_SWAP = 512 << 20
BESIDE, BESIDE_SHARE = 1 << 20, 0.03  # what a container must allow beside the arena, at most: an aim, and so the rule here


@dataclass(frozen=True)
class Column:
    name: str
    form: str  # native, kernel, free, counted
    allocator: Allocator
    settings: tuple = ()  # pairs

    def ours(self):
        return self.form in ("free", "counted")


@dataclass
class Cell:
    seconds: list = field(default_factory=list)
    ratios: list = field(default_factory=list)  # to the native run of the same round
    kills: int = 0
    runs: int = 0
    extra: int = 0  # what its cgroup has beyond the total, so that a run survives
    waits: bool = False  # with killing off
    stalls: int = 0  # how often it waited, in the last run
    slow: bool = False
    failure: str = ""
    wrong: bool = False
    last: object = None  # the last Outcome

    def given_up(self):
        return self.slow or self.failure or (self.kills and not self.seconds)

    def slow_down(self):
        return median(self.ratios)


def columns(allocators, ours, vmalloc, forms):
    """All columns that can be had; `ours` are texts of settings, `library=PATH` among them names another build."""
    by_name = {a.name: a for a in allocators}
    found = [Column("native", "native", by_name["glibc"])]
    for name in ("glibc", "mimalloc"):
        if name in by_name and "kernel" in forms:
            found.append(Column(f"kernel, {name}", "kernel", by_name[name]))
    for text in ours or [""]:
        pairs = [word.split("=", 1) for word in text.split()]
        library = next((value for key, value in pairs if key == "library"), vmalloc.library)
        settings = tuple((key, value) for key, value in pairs if key != "library")
        name = "ours" + (" " + ",".join(word.replace("VMALLOC_", "").lower() for word in text.split()) if text else "")
        found += [Column(f"{name}, {form}", form, Allocator("vmalloc", os.path.abspath(library)), settings)
                  for form in ("free", "counted") if form in forms]
    return found


def arena(column, heap):
    """Of the share of the heap that is to be had, what beside the arena must fit is taken off where it is counted."""
    return int((heap - BESIDE) / (1 + BESIDE_SHARE)) if column.form == "counted" else heap


def run_once(cell, job, column, foot, fraction, place, limit):
    """One run of one cell."""
    settings = {}
    if column.ours():
        settings = {"VMALLOC_ARENA": f"{arena(column, int(foot.heap * fraction)) >> 10}K",
                    "VMALLOC_SWAP": f"{max(foot.heap * 4, 16 << 20) >> 10}K", "VMALLOC_SWAP_DIR": place.swap_dir, **dict(column.settings)}
    with contextlib.ExitStack() as stack:
        group = waiting = None
        if column.form in ("kernel", "counted"):
            group = MemoryGroup("contest", stack)
            size = foot.total(fraction) + cell.extra
            group.limit(size, swap=column.form == "kernel")
            waiting = stack.enter_context(Waiting(group, size)) if cell.waits else None
        done = JobRun(job, place.directory, column.allocator, settings, group, limit).wait()
        cell.stalls = waiting.stalls if waiting else 0
        return done


def ease(cell, column, hopeless):
    """What changes for a cell after a kill; says whether it is to be tried again."""
    if cell.kills < ATTEMPTS and not hopeless:
        return True
    if column.form == "kernel" and MemoryGroup.is_v1():
        cell.waits = True
        return True
    if hopeless:
        return False
    larger = [extra for extra in EXTRAS if extra > cell.extra]
    cell.extra = larger[0] if larger else cell.extra
    return bool(larger)


def play(cell, base, job, column, foot, fraction, place, patience):
    """One round of one cell; `base` is the native time of this round."""
    limit = patience * (base or foot.seconds)
    spent = 0.0
    while True:
        done = cell.last = run_once(cell, job, column, foot, fraction, place, limit)
        cell.runs += 1
        cell.kills += done.killed
        spent += done.seconds
        if not done.killed:
            break
        if not ease(cell, column, hopeless=spent > limit):
            return
    cell.slow |= done.slow
    cell.failure = cell.failure or done.failure
    cell.wrong |= done.good() and done.digest != foot.digest
    if done.good():
        cell.seconds.append(done.seconds)
        cell.ratios.append(done.seconds / (base or done.seconds))
    elif done.slow:
        cell.ratios = [patience]


def rows_of(job, fraction, foot, listed, place, chosen):
    """The cells of one program at one fraction."""
    cells = {column.name: Cell() for column in listed}
    for _ in range(chosen.reps):
        base = 0.0
        for column in listed:
            cell = cells[column.name]
            if not cell.given_up():
                play(cell, base, job, column, foot, fraction, place, chosen.patience)
            if column.form == "native":
                base = cell.seconds[-1] if cell.seconds else foot.seconds
    return cells


@dataclass
class Place:
    directory: str  # of the inputs
    swap_dir: str


def measure(allocators, vmalloc, chosen, notes, progress):
    """The report as text, and whether every output was right."""
    try:
        if os.geteuid():
            raise Skip("needs root (cgroups and swap)")
        if not vmalloc:
            raise Skip("needs libvmalloc.so")
        with contextlib.ExitStack() as stack:
            return compare(allocators, vmalloc, chosen, notes, progress, stack)
    except Skip as why:
        notes.append(f"contest: skipped: {why}")
        return "", True


def compare(allocators, vmalloc, chosen, notes, progress, stack):
    listed = columns(allocators, chosen.ours, vmalloc, chosen.forms)
    found = jobs.chosen(chosen.programs, notes)
    place = Place(stack.enter_context(tempfile.TemporaryDirectory(prefix="vmalloc-bench-", dir=chosen.swap_dir)), chosen.swap_dir)
    inputs.make(place.directory, [name for job in found for name in job.inputs])
    if any(column.form == "kernel" for column in listed):
        swap_on(chosen.swap_dir, KERNEL_SWAP, stack)
    results = []
    for job in found:
        foot = footprint.measure(job, place.directory, vmalloc)
        if foot.failure:
            notes.append(f"FAIL {job.name} with memory enough: {foot.failure}")
            continue
        for fraction in chosen.fractions:
            progress(f"{job.name} at {fraction:g} of {report.mib(foot.heap)}")
            cells = rows_of(job, fraction, foot, listed, place, chosen)
            results.append((job, fraction, foot, cells))
            progress("    " + "; ".join(f"{name} {contest_report.slow_down(cell)}" for name, cell in cells.items()))
    return contest_report.text(results, listed, chosen)

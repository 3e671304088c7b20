"""What each library adds to the start and end of a program that does nothing; libvmalloc.so with its default settings."""
import os
import shutil

from . import report
from .run import first_line, program, run


def measure(allocators, runs, notes):
    true = shutil.which("true") or "/bin/true"
    for allocator in list(allocators):  # launch gives up at the first failure: ask each one alone before
        done = run([true], allocator)
        if done.failure:
            notes.append(f"startup: {allocator.name}: {done.failure}")
            allocators = [a for a in allocators if a != allocator]
    preloads = [a.library or "-" for a in allocators]
    done = run([program("launch"), str(runs), os.path.realpath(true), *preloads])
    if done.failure:
        notes.append(f"startup: {done.failure}")
        return ""
    lines = [dict(pair.split("=", 1) for pair in line.split()) for line in done.output.splitlines()]
    rows = []
    for allocator, line in zip(allocators, lines):
        extra = "-" if not allocator.library else f"{float(line['extra_us']):,.0f} µs"
        rows.append([allocator.name, f"{float(line['median_us']):,.0f} µs", extra])
    return (f"{first_line(true)} from posix_spawn to waitpid, median of {runs} alternating runs "
            "(aim: vmalloc adds less than 1,000 µs):\n\n" + report.table(["start-up", "time", "added"], rows))

"""Without pressure: every allocator on the same work, libvmalloc.so with an arena in which nothing is paged out.

Runs alternate (A B C D, A B C D, ...): each round gives one ratio to glibc per allocator, and the figure is the median of
those, so that a machine which slows down in the middle slows both sides of a ratio. A first round, which is not counted,
warms the files up and has libvmalloc.so's statistics taken; the counted rounds run without statistics."""
import math
import os
import sys
from dataclasses import dataclass, field

from . import report
from .run import BENCH, median, program, run

SETTINGS = {"VMALLOC_ARENA": "512M"}
THREADS = str(max(2, min(4, os.cpu_count() or 2)))
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


@dataclass(frozen=True)
class Case:
    name: str
    what: str
    command: list
    extra: dict = field(default_factory=dict)


def case(name, what, binary, *arguments):
    return Case(name, what, [program(binary), *arguments])


def script(name):
    return os.path.join(BENCH, "programs", name)


CASES = [
    case("larson", f"server, {THREADS} threads that come and go", "larson", THREADS),
    case("producer", "blocks freed by another thread", "producer_consumer", str(int(THREADS) // 2)),
    case("lifo", "one thread, newest freed first", "lifetimes", "lifo"),
    case("fifo", "one thread, oldest freed first", "lifetimes", "fifo"),
    case("random", "one thread, random lifetimes", "lifetimes", "random"),
    case("pair", "malloc(64) and free at once", "lifetimes", "pair"),
    case("medium", "1 KiB to 32 KiB", "sizes", "1024", "32768"),
    case("large", "128 KiB to 4 MiB", "sizes", "131072", "4194304", "10000", "40"),
    case("vectors", "realloc, doubling to 512 KiB", "grow", "vectors"),
    case("strings", "realloc, a few bytes at a time", "grow", "strings"),
    case("calloc", "zeroed tables, 16 B to 16 KiB", "grow", "calloc"),
    Case("python", "python3, dicts and strings", [PYTHON, "-S", script("dicts.py")],
         {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}),
    Case("perl", "perl, hashes and arrays", ["perl", script("hashes.pl")],
         {"PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"}),
]


def same_work(one, other):
    """Whether two runs computed the same: the check of our programs, the whole output of others."""
    return one.values().get("check", one.output) == other.values().get("check", other.output)


def measure_case(item, allocators, rounds, notes):
    """For each allocator the times of all rounds; one that fails in any round is left out, with a note."""
    times = {a.name: [] for a in allocators}
    first, ours = None, None
    for round_number in range(rounds + 1):
        warming = round_number == 0
        for allocator in [a for a in allocators if a.name in times]:
            done = run(item.command, allocator, SETTINGS, item.extra, stats=warming)
            first = first or done
            failure = done.failure or ("" if same_work(done, first) else "another result than glibc")
            if failure:
                notes.append(f"{item.name} under {allocator.name}: {failure}")
                del times[allocator.name]
            elif warming:
                ours = done if allocator.name == "vmalloc" else ours
            else:
                times[allocator.name].append(done.nanoseconds())
        if "glibc" not in times:
            return {}, None
    return times, ours


def ratios(times, name):
    return [x / base for x, base in zip(times.get(name, []), times["glibc"])]


def evicted(done):
    return sum(done.stats.get("evictions", {}).values())


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def measure(allocators, rounds, only, notes, progress):
    names = [a.name for a in allocators]
    others, medians, rows = names[1:], {name: [] for name in names}, []
    for item in [c for c in CASES if not only or c.name in only or "speed" in only]:
        progress(item.name)
        times, ours = measure_case(item, allocators, rounds, notes)
        row = [f"{item.name}: {item.what}", f"{median(times['glibc']) / 1e6:,.0f} ms" if times else "failed"]
        for name in others:
            found = ratios(times, name) if times else []
            medians[name] += [median(found)] if found else []
            row.append(report.times(median(found)) if found else "failed")
        if "vmalloc" in names:
            found = ratios(times, "vmalloc") if times else []
            row.append(f"{min(found):.2f}-{max(found):.2f}" if found else "-")
            row.append(f"{ours.faults():,}" if ours else "-")
            if ours and evicted(ours):
                notes.append(f"{item.name}: vmalloc evicted {evicted(ours):,} pages: not a run without pressure")
        rows.append(row)
    if not rows:
        return ""
    blanks = ["", ""] if "vmalloc" in names else []
    if len(rows) > 1:
        rows.append(["geometric mean", ""] + [report.times(geometric_mean(medians[n])) for n in others] + blanks)
        rows.append(["slowest case", ""] + [report.times(max(medians[n], default=float("nan"))) for n in others] + blanks)
    heads = ["without pressure", "glibc"] + others + (["its range", "its faults"] if "vmalloc" in names else [])
    return (f"Time as a multiple of glibc's, median of {rounds} paired runs, VMALLOC_ARENA={SETTINGS['VMALLOC_ARENA']} "
            "(aim: geometric mean 1.00x, no case beyond 1.50x):\n\n" + report.table(heads, rows))

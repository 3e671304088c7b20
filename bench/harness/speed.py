"""Without pressure: every allocator on the same work, libvmalloc.so with an arena in which nothing is paged out.

Processor time is compared, of all threads together, start-up and all, and the most memory that was resident. Runs alternate (A B C D,
A B C D, ...): each round gives one ratio per allocator, and the figure is the median of those, so that a machine which slows
down in the middle slows both sides of a ratio. A first round, which is not counted, warms the files up and has libvmalloc.so's
statistics taken; the counted rounds run without statistics."""
from . import report
from .report import geometric_mean
from .run import Run, median, run
from .speed_cases import CASES

SETTINGS = {"VMALLOC_ARENA": "512M"}


def same_work(one, other):
    """Whether two runs computed the same: the check of our programs, the whole output of others."""
    return one.values().get("check", one.output) == other.values().get("check", other.output)


def measure_case(item, allocators, rounds, notes):
    """For each allocator the runs of all rounds; one that fails in any round is left out, with a note."""
    runs = {a.name: [] for a in allocators}
    first, ours = None, None
    for round_number in range(rounds + 1):
        warming = round_number == 0
        for allocator in [a for a in allocators if a.name in runs]:
            done = run(item.command, allocator, SETTINGS, item.extra, stats=warming, usage=True)
            first = first or done
            failure = done.failure or ("" if same_work(done, first) else "another result than glibc")
            if failure:
                notes.append(f"{item.name} under {allocator.name}: {failure}")
                del runs[allocator.name]
            elif warming:
                ours = done if allocator.name == "vmalloc" else ours
            else:
                runs[allocator.name].append(done)
        if "glibc" not in runs:
            return {}, None
    return runs, ours


def ratios(runs, name, base, what):
    """`what` of each round's runs under one allocator by that under another."""
    return [what(one) / what(other) for one, other in zip(runs.get(name, []), runs.get(base, []))]


def peak(done):
    return done.used["peak"]


def evicted(done):
    return sum(done.stats.get("evictions", {}).values())


class Column:
    """One column of ratios: of a case's runs, and of all cases for the mean."""

    def __init__(self, head, name, base, what):
        self.head, self.name, self.base, self.what, self.medians = head, name, base, what, []

    def cell(self, runs):
        found = ratios(runs, self.name, self.base, self.what)
        self.medians += [median(found)] if found else []
        return report.times(median(found)) if found else "failed"


def columns(names):
    listed = [Column(name, name, "glibc", Run.processor_seconds) for name in names[1:]]
    if "vmalloc" in names and "mimalloc" in names:
        listed.append(Column("vmalloc / mimalloc", "vmalloc", "mimalloc", Run.processor_seconds))
    return listed + [Column(f"memory: {name}", name, "glibc", peak) for name in names[1:]]


def measure(allocators, rounds, only, notes, progress):
    names = [a.name for a in allocators]
    listed, rows = columns(names), []
    for item in [c for c in CASES if not only or c.name in only or "speed" in only]:
        progress(item.name)
        runs, ours = measure_case(item, allocators, rounds, notes)
        glibc = runs.get("glibc", [])
        row = [f"{item.name}: {item.what}", f"{median([r.processor_seconds() for r in glibc]) * 1000:,.0f} ms" if glibc else "failed",
               f"{median([peak(r) for r in glibc]) / 1024:,.1f}" if glibc else "failed"]
        rows.append(row + [column.cell(runs) for column in listed] + [f"{ours.faults():,}" if ours else "-"])
        if ours and evicted(ours):
            notes.append(f"{item.name}: vmalloc evicted {evicted(ours):,} pages: not a run without pressure")
    if not rows:
        return ""
    if len(rows) > 1:
        rows.append(["geometric mean", "", ""] + [report.times(geometric_mean(c.medians)) for c in listed] + [""])
        rows.append(["largest", "", ""] + [report.times(max(c.medians, default=float("nan"))) for c in listed] + [""])
    heads = ["without pressure", "glibc", "MiB"] + [column.head for column in listed] + ["its faults"]
    return (f"Processor time and peak of memory as multiples of glibc's, median of {rounds} paired runs, "
            f"VMALLOC_ARENA={SETTINGS['VMALLOC_ARENA']} (aims: time to mimalloc's 1.00x in the mean, no case beyond 1.30x; memory to glibc's "
            "1.05x in the mean):\n\n" + report.table(heads, rows))

"""What a system call costs under the library: before anything is paged out, and while the guard is armed."""
from . import report
from .run import median, program, run

PRESSURE = 12 << 20  # more than the arena: the guard is armed when it has been written
HEADS = ["system call", "glibc", "dispatch alone", "nothing paged", "guard armed", "aim"]
AIMS = {"other": "-"}


def measure(glibc, vmalloc, rounds, notes):
    columns = [(glibc, {}, [0]), (glibc, {}, [0, "dispatch"]), (vmalloc, {"VMALLOC_ARENA": "64M"}, [0]), (vmalloc, {}, [PRESSURE])]
    taken = []
    for _ in range(rounds):
        runs = [run([program("calls"), *map(str, arguments)], allocator, settings) for allocator, settings, arguments in columns]
        for failed in (r for r in runs if r.failure):
            notes.append(f"calls: {failed.failure}")
            return ""
        taken.append([{name: float(ns) for name, ns in r.values().items()} for r in runs])
    rows = []
    for name in taken[0][0]:
        plain = median([round_[0][name] for round_ in taken])
        ratios = [median([round_[i][name] / round_[0][name] for round_ in taken]) for i in (1, 2, 3)]
        rows.append([name.replace("_", " "), f"{plain:,.0f} ns", *(f"{ratio:.2f}x" for ratio in ratios), AIMS.get(name, "1.20x")])
    return (f"A system call with buffers in the heap, medians of {rounds} rounds (`other` is one that traps when the guard "
            "is armed; `dispatch alone` is the program without the library, but with the kernel's dispatch on):\n\n" + report.table(HEADS, rows))

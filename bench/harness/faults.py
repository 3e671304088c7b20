"""Under pressure: what a fault costs, against the bare loop (floor) and against itself with a much larger arena.

random_access fills its pages, then stores to random ones; only the second part is timed, and the swap-ins of the fill
(a second run with no accesses) are subtracted, so ns per fault = ns of the accesses / their swap-ins."""
import os
import shutil
from dataclasses import dataclass

from . import report
from .run import PAGE, median, program, run

MIB = 1 << 20
TOUCHED = 20 * MIB // PAGE
ARENA, SWAP = "8M", "16M"


@dataclass
class Walk:
    """One run of random_access under libvmalloc.so: the cost of its accesses and of its faults."""
    failure: str
    per_access: float = float("nan")
    per_fault: float = float("nan")
    stats: object = None
    swap_ins: int = 0


def vmalloc_walk(vmalloc, pages, accesses, settings, fill_swap_ins=0, before_exec=None):
    done = run([program("random_access"), str(pages), str(accesses)], vmalloc, settings, stats=True, before_exec=before_exec)
    if done.failure:
        return Walk(done.failure)
    swap_ins = done.count("faults", "swap_in") - fill_swap_ins
    if accesses and swap_ins <= 0:
        return Walk("no page was swapped in", done.nanoseconds() / accesses)
    return Walk("", done.nanoseconds() / max(accesses, 1), done.nanoseconds() / max(swap_ins, 1), done, swap_ins)


def floor_walk(pages, accesses, frames, swap_dir):
    """ns per access and per fault of the bare loop."""
    done = run([program("floor"), str(pages), str(accesses), str(frames), swap_dir])
    if done.failure:
        return Walk(done.failure)
    swap_ins = int(done.values()["swap_ins"])
    return Walk("", done.nanoseconds() / accesses, done.nanoseconds() / max(swap_ins, 1), done, swap_ins)


def page_frames(done):
    """How many frames of the arena can hold pages, in units of 4 KiB."""
    frames = done.count("frames", "total") - done.count("frames", "bookkeeping") - done.count("frames", "shared")
    return int(frames * done.count("config", "page") // PAGE) or TOUCHED * 2 // 5


def settings(arena, swap, swap_dir, **more):
    return {"VMALLOC_ARENA": arena, "VMALLOC_SWAP": swap, "VMALLOC_SWAP_DIR": swap_dir, **more}


def floor(vmalloc, rounds, accesses, swap_dir, notes):
    """A fault that swaps in and evicts a dirty page: ours against the bare loop, as many pages and frames."""
    ours, bare, frames, fill = [], [], 2048, 0
    chosen = settings(ARENA, SWAP, swap_dir)
    if vmalloc:
        first = vmalloc_walk(vmalloc, TOUCHED, 0, chosen)
        if first.failure:
            notes.append(f"floor: vmalloc: {first.failure}")
            vmalloc = None
        else:
            frames, fill = page_frames(first.stats), first.swap_ins
    for _ in range(rounds):
        walk = floor_walk(TOUCHED, accesses, frames, swap_dir)
        if walk.failure:
            notes.append(f"floor: {walk.failure}")
            return []
        bare.append(walk)
        if vmalloc:
            walk = vmalloc_walk(vmalloc, TOUCHED, accesses, chosen, fill)
            if walk.failure:
                notes.append(f"floor: vmalloc: {walk.failure}")
                vmalloc = None
            else:
                ours.append(walk)
    if len(ours) < rounds:
        ours = []
    else:
        last = ours[-1]
        notes.append(
            f"floor: {frames:,} frames for {TOUCHED:,} pages; {accesses:,} stores made {last.swap_ins:,} swap-ins "
            f"({bare[-1].swap_ins:,} in the floor) among {last.stats.faults():,} faults of the whole run; evictions: "
            f"{last.stats.count('evictions', 'dirty'):,} dirty, {last.stats.count('evictions', 'clean'):,} clean")
    return [line("fault, dirty victim: vmalloc / bare loop", [w.per_fault for w in ours], [w.per_fault for w in bare], "1.30x"),
            line("access, the same walk", [w.per_access for w in ours], [w.per_access for w in bare], "-")]


def line(what, ours, reference, aim):
    """One row: our median, the reference's, the median of the paired ratios."""
    ratio = median([a / b for a, b in zip(ours, reference)])
    return [what, report.microseconds(median(ours)), report.microseconds(median(reference)), report.times(ratio), aim]


HEADS = ["under pressure", "vmalloc", "reference", "ratio", "aim"]


def scale(vmalloc, rounds, accesses, swap_dir, large_mib, notes):
    """Cost of a fault with a small and a large arena: 1.5 times as many pages as arena, so the same share of faults."""
    if not vmalloc:
        notes.append("scale: skipped: needs libvmalloc.so")
        return []
    why = no_room(large_mib, swap_dir)
    if why:
        notes.append(f"scale: skipped: {why}")
        return []
    name = f"{large_mib // 1024}G" if large_mib % 1024 == 0 else f"{large_mib}M"
    large = (large_mib * MIB * 3 // 2 // PAGE, settings(name, name, swap_dir))
    small = (8 * MIB * 3 // 2 // PAGE, settings(ARENA, SWAP, swap_dir))
    kinds = {"large": large, "small": small}
    fills = {}
    for kind in ("large", "small"):
        fills[kind] = vmalloc_walk(vmalloc, kinds[kind][0], 0, kinds[kind][1])
        if fills[kind].failure:
            notes.append(f"scale: {kind} arena: {fills[kind].failure}")
            return []
    page = fills["large"].stats.count("config", "page")
    if page != fills["small"].stats.count("config", "page"):
        # With larger pages a fault moves more bytes: compare like with like as well.
        kinds["same page"] = (small[0], {**small[1], "VMALLOC_PAGE": f"{page // 1024}K"})
        fills["same page"] = vmalloc_walk(vmalloc, small[0], 0, kinds["same page"][1])
        notes.append(f"scale: the {name} arena chose pages of {page // 1024} KiB")
    costs, swap_ins = {kind: [] for kind in kinds}, {}
    for _ in range(rounds):
        for kind, (pages, chosen) in kinds.items():
            walk = vmalloc_walk(vmalloc, pages, accesses, chosen, fills[kind].swap_ins)
            if walk.failure:
                notes.append(f"scale: {kind} arena: {walk.failure}")
                return []
            costs[kind].append(walk.per_fault)
            swap_ins[kind] = f"{walk.swap_ins:,} ({kind})"
    notes.append(f"scale: swap-ins in {accesses:,} stores: {', '.join(swap_ins.values())}")
    rows = [line(f"fault, {name} arena / {ARENA} arena", costs["large"], costs["small"], "1.20x")]
    if "same page" in costs:
        rows.append(line(f"the same, both with pages of {page // 1024} KiB", costs["large"], costs["same page"], "1.20x"))
    return rows


def no_room(arena_mib, swap_dir):
    """Why a large arena cannot be tried here, or nothing. Both it and its swap file (in the page cache) want RAM."""
    with open("/proc/meminfo") as file:
        available = next(int(text.split()[1]) for text in file if text.startswith("MemAvailable")) // 1024
    if available < arena_mib * 5 // 2:
        return f"{arena_mib} MiB of arena and as much swap want more RAM than the {available:,} MiB available"
    free = shutil.disk_usage(swap_dir).free // MIB
    if free < arena_mib * 3 // 2:
        return f"{swap_dir} has {free:,} MiB free, the swap file needs {arena_mib}"
    return ""


def usable(swap_dir):
    return os.path.isdir(swap_dir) and os.access(swap_dir, os.W_OK)

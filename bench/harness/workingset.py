"""The working set: how much memory the contest's programs touch in windows of 100 ms, and hold at most, under each allocator.

Each window begins with a write to /proc/PID/clear_refs and ends with smaps_rollup: Referenced is what was touched, Pss what is
resident (each page once, however often it is mapped; of what others map too, a share). All of the program's memory counts, text and
stack too. Ours has an arena in which nothing is paged, and its bookkeeping counts."""
import statistics
import tempfile
import threading

from . import inputs, jobs, report
from .job_run import JobRun
from .run import Allocator, find_library, median

WINDOW = 0.1
SETTINGS = {"VMALLOC_ARENA": "1G", "VMALLOC_SWAP": "64M"}
AIM = 1.05


def extended(allocators, notes):
    """The same, and tcmalloc before ours."""
    library = find_library("libtcmalloc_minimal.so.4")
    if not library:
        notes.append("tcmalloc: not installed (apt-get install libtcmalloc-minimal4)")
        return allocators
    place = next((i for i, a in enumerate(allocators) if a.name == "vmalloc"), len(allocators))
    return allocators[:place] + [Allocator("tcmalloc", library)] + allocators[place:]


def rollup(pid):
    """Referenced and proportional resident bytes; nothing when the process has gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            sizes = {line.split()[0]: int(line.split()[1]) << 10 for line in file if line.rstrip().endswith("kB")}
        return sizes["Referenced:"], sizes["Pss:"]
    except (OSError, KeyError):
        return None


class Windows:
    """What each whole window of a running process touched and held, as pairs of bytes."""

    def __init__(self, pid):
        self.pid, self.found, self.done = pid, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while True:
            try:
                with open(f"/proc/{self.pid}/clear_refs", "w") as file:
                    file.write("1")
            except OSError:
                return
            if self.done.wait(WINDOW):
                return
            seen = rollup(self.pid)
            if not seen or not seen[1]:  # it has gone
                return
            self.found.append(seen)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def watched(job, directory, allocator):
    """Mean and 90th percentile of what a window touches, and the most that was resident: bytes, and the run's outcome."""
    running = JobRun(job, directory, allocator, SETTINGS if allocator.name == "vmalloc" else {})
    with Windows(running.pid) as windows:
        done = running.wait()
    if len(windows.found) < 2:
        done.failure = done.failure or "it ended before two windows had passed"
        return (), done
    touched = [referenced for referenced, _ in windows.found]
    return (statistics.mean(touched), statistics.quantiles(touched, n=10)[8], max(pss for _, pss in windows.found)), done


def measure_job(job, directory, allocators, reps, notes):
    """For each allocator the medians of the three measures; one that fails is left out, with a note."""
    taken, native = {a.name: [] for a in allocators}, None
    for _ in range(reps):
        for allocator in [a for a in allocators if a.name in taken]:
            measures, done = watched(job, directory, allocator)
            native = native or done
            failure = done.failure or ("too slow" if done.slow else "")
            if not failure and done.digest != native.digest:
                failure = "FAIL: another output than under glibc"
            if failure:
                notes.append(f"{job.name} under {allocator.name}: {failure}")
                del taken[allocator.name]
            else:
                taken[allocator.name].append(measures)
    return {name: [median(values) for values in zip(*rounds)] for name, rounds in taken.items()}


def measure(allocators, chosen, notes, progress):
    allocators, results = extended(allocators, notes), []
    found = jobs.chosen(chosen.programs, notes)
    with tempfile.TemporaryDirectory(prefix="vmalloc-bench-") as directory:
        inputs.make(directory, [name for job in found for name in job.inputs])
        for job in found:
            progress(job.name)
            results.append((job, measure_job(job, directory, allocators, chosen.reps, notes)))
    names = [a.name for a in allocators]
    measures = ["mean of the windows", "90th percentile of the windows", "most resident"]
    tables = [table(what, index, names, results) for index, what in enumerate(measures)]
    return (f"MiB touched in windows of {WINDOW * 1000:.0f} ms, and resident (aim: ours ≤ {AIM:.2f}x of the smallest):\n\n"
            + "\n\n".join(tables))


def table(what, index, names, results):
    """One measure of all programs; the last column is ours by the smallest of the others."""
    rows, ratios = [], []
    for job, taken in results:
        sizes = {name: values[index] for name, values in taken.items()}
        smallest = min((size for name, size in sizes.items() if name != "vmalloc"), default=float("nan"))
        ratio = sizes.get("vmalloc", float("nan")) / smallest
        ratios += [ratio] if ratio == ratio else []
        rows.append([job.name] + [f"{sizes[name] / (1 << 20):,.1f}" if name in sizes else "failed" for name in names]
                    + [report.times(ratio) + (" *" if ratio > AIM else "")])
    rows.append(["geometric mean"] + [""] * len(names) + [report.times(report.geometric_mean(ratios))])
    return report.table([what] + names + ["ours / smallest"], rows)

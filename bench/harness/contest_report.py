"""What the contest says: wrong outputs first, slow-downs side by side, means, the rows that miss the aim, and every figure."""
from . import report
from .run import median

AIM_OF_A_ROW = 1.2
PAGE = 4096


def slow_down(cell):
    """A cell of the first table."""
    if cell.wrong or cell.failure:
        return "FAIL"
    if not usable(cell):
        return f"killed {cell.kills}/{cell.runs}"
    figure = f"> {cell.slow_down():.0f}x" if cell.slow else report.times(cell.slow_down())
    return figure + (f" (+{cell.extra >> 20}M)" if cell.extra else "") + (" (waits)" if cell.waits else "")


def usable(cell):
    return bool(cell.ratios) and not (cell.failure or cell.wrong)


def against_kernel(cell, cells, listed):
    """Our slow-down by the better kernel column's, and what it is: "" a figure, ">" or "<" a bound, because one of the two was ended.
    Of two that were ended nothing is known, and NaN says so."""
    kernels = [cells[c.name] for c in listed if c.form == "kernel" and usable(cells[c.name])]
    if not usable(cell) or not kernels:
        return float("nan"), ""
    better = min(kernels, key=lambda kernel: kernel.slow_down())
    if cell.slow and better.slow:
        return float("nan"), ""
    return cell.slow_down() / better.slow_down(), ">" if cell.slow else "<" if better.slow else ""


def side_by_side(results, listed):
    others, ours = listed[1:], [c for c in listed if c.ours()]
    rows = []
    for job, fraction, foot, cells in results:
        rows.append([f"{job.name} at {fraction:g}", f"{median(cells['native'].seconds):.2f} s"] + [slow_down(cells[c.name]) for c in others]
                    + [bounded(*against_kernel(cells[c.name], cells, listed)) for c in ours])
    for fraction in sorted({fraction for _, fraction, _, _ in results}, reverse=True):
        here = [cells for _, at, _, cells in results if at == fraction]
        means = [mean([(cells[c.name].slow_down(), ">" if cells[c.name].slow else "") for cells in here if usable(cells[c.name])],
                      len(here)) for c in others]
        against = [[against_kernel(cells[c.name], cells, listed) for cells in here] for c in ours]
        rows.append([f"geometric mean at {fraction:g}", ""] + means
                    + [mean([pair for pair in pairs if pair[0] == pair[0]], len(here)) for pairs in against])
    heads = ["slow-down", "native"] + [c.name for c in others] + [f"{c.name} / better kernel" for c in ours]
    return report.table(heads, rows)


def bounded(ratio, bound):
    return f"{bound} {report.times(ratio)}".strip()


def mean(pairs, of):
    """A geometric mean; of how many rows if not of all; a bound if there are bounds in it, and "?" if they go both ways."""
    bounds = {bound for _, bound in pairs} - {""}
    bound = bounds.pop() if len(bounds) == 1 else "?" if bounds else ""
    return bounded(report.geometric_mean([value for value, _ in pairs]), bound) + (f" ({len(pairs)} of {of})" if len(pairs) < of else "")


def beyond_the_aim(results, listed):
    """A line for each row of ours that has no figure, or more than the aim."""
    lines = []
    for job, fraction, _, cells in results:
        for column in (c for c in listed if c.ours()):
            cell = cells[column.name]
            ratio, bound = against_kernel(cell, cells, listed)
            where = f"- {job.name} at {fraction:g}, {column.name}:"
            if not usable(cell):
                lines.append(f"{where} {slow_down(cell)}")
            elif cell.extra:
                lines.append(f"{where} killed {cell.kills} times, survives with {cell.extra >> 20} MiB more")
            elif ratio != ratio and cell.slow:
                lines.append(f"{where} not known: {slow_down(cell)}, and the kernel's columns were ended or killed too")
            elif ratio > AIM_OF_A_ROW:
                lines.append(f"{where} {bounded(ratio, bound)} of the better kernel column")
    return lines


def details(results, listed):
    rows = []
    for job, fraction, foot, cells in results:
        for column in listed:
            cell = cells[column.name]
            rows.append([f"{job.name} at {fraction:g}, {column.name}", *seconds(cell), slow_down(cell), *moved(cell, column),
                         f"{cell.kills}/{cell.runs}", f"{cell.stalls:,}", "FAIL" if cell.wrong or cell.failure else "same" if cell.seconds else "-"])
    heads = ["run", "least s", "median s", "slow-down", "faults", "pages in", "MiB read", "MiB written", "killed", "stalls", "output"]
    return report.table(heads, rows)


def seconds(cell):
    return [f"{min(cell.seconds):.2f}", f"{median(cell.seconds):.2f}"] if cell.seconds else ["-", "-"]


def moved(cell, column):
    """Faults, pages in, bytes read and written, of the last run: the kernel's count, or ours."""
    done = cell.last
    if not cell.seconds or not done or not done.good():
        return ["-"] * 4
    if not column.ours():
        return [f"{done.major_faults:,}", f"{done.bytes_in // PAGE:,}", *megabytes(done.bytes_in, done.bytes_out)]
    faults, swap = done.stats["faults"], done.stats["swap"]
    return [f"{sum(faults.values()) - faults['stray']:,}", f"{faults['swap_in']:,}", *megabytes(swap["bytes_read"], swap["bytes_written"])]


def megabytes(*sizes):
    return [f"{size / (1 << 20):,.1f}" for size in sizes]


def footprints(results):
    seen = {job.name: (job, foot) for job, _, foot, _ in results}
    rows = [[f"{job.name}: {job.what}", f"{foot.seconds:.2f} s", report.mib(foot.heap), report.mib(foot.other)]
            for job, foot in seen.values()]
    return report.table(["program", "natively", "heap", "other memory"], rows)


def wrong(results):
    return [f"FAIL {job.name} at {fraction:g}, {name}: {cell.failure or 'another output than natively'}"
            for job, fraction, _, cells in results for name, cell in cells.items() if cell.wrong or cell.failure]


def text(results, listed, chosen):
    """The report, and whether every output was right."""
    if not results:
        return "", True
    failures, beyond = wrong(results), beyond_the_aim(results, listed)
    parts = ["\n".join(failures)] if failures else []
    parts += [f"Slow-down to the native run of the same round, median of {chosen.reps} (aim: the mean of ours below the better kernel "
              f"column at every fraction, no row above {AIM_OF_A_ROW:.2f}x of it; a run is ended at {chosen.patience:g}x; +M: what the cgroup "
              "got beyond the total, because the kernel killed; waits: with killing off, for the same reason):",
              side_by_side(results, listed)]
    if beyond:
        parts += ["Rows of ours beyond the aim:", "\n".join(beyond)]
    parts += ["What the programs take:", footprints(results),
              "All figures (faults: major ones, or all of ours; pages and bytes of the last run):", details(results, listed)]
    return "\n\n".join(parts), not failures

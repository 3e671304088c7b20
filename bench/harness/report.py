"""Tables, as aligned Markdown: the same text on the terminal and in docs/BENCHMARKS.md."""
import math
import os
import platform

from .run import ROOT

DOCS = os.path.join(ROOT, "docs", "BENCHMARKS.md")
BEGIN, END = "<!-- {}: begin (written by scripts/bench{} --update-docs) -->", "<!-- {}: end -->"


def table(heads, rows):
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [heads] + rows) for i in range(len(heads))]

    def line(cells):  # the first column is words, the others are figures
        aligned = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))]
        return "| " + " | ".join(aligned) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(heads), rule] + [line(row) for row in rows])


def times(ratio):
    return f"{ratio:.2f}x" if ratio == ratio else "-"


def microseconds(ns):
    return f"{ns / 1000:,.2f} µs" if ns == ns else "-"


def mib(size):
    return f"{size / (1 << 20):,.1f} MiB" if size == size else "-"


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def machine():
    model = platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}, {' '.join(platform.libc_ver())}"


def update_docs(text, block="figures"):
    """Rewrites one block of the page; those of a single measurement are named after it."""
    begin, end = BEGIN.format(block, "" if block == "figures" else f" --only {block}"), END.format(block)
    with open(DOCS) as file:
        page = file.read()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"bench: {DOCS} lacks its markers:\n{begin}\n{end}")
    head, rest = page.split(begin)
    tail = rest.split(end)[1]
    with open(DOCS, "w") as file:
        file.write(f"{head}{begin}\n\n{text.strip()}\n\n{end}{tail}")

"""Tables, as aligned Markdown: the same text on the terminal and in docs/BENCHMARKS.md."""
import os
import platform

from .run import ROOT

DOCS = os.path.join(ROOT, "docs", "BENCHMARKS.md")
BEGIN, END = "<!-- figures: begin (written by scripts/bench --update-docs) -->", "<!-- figures: end -->"


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


def machine():
    model = platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}, {' '.join(platform.libc_ver())}"


def update_docs(text):
    with open(DOCS) as file:
        page = file.read()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise SystemExit(f"bench: {DOCS} lacks its markers:\n{BEGIN}\n{END}")
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    with open(DOCS, "w") as file:
        file.write(f"{head}{BEGIN}\n\n{text.strip()}\n\n{END}{tail}")

"""What scripts/bench --only speed runs: programs of bench/, each a pattern, and two real ones."""
import os
import sys
from dataclasses import dataclass, field

from .run import BENCH, program

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
    case("chains", "realloc, growing by half and shrinking", "grow", "chains"),
    case("mixed", "16 B to 20 KiB", "sizes", "16", "20480"),
    case("balanced", "trees built and felled", "trees", "balanced"),
    case("search", "a search tree with texts", "trees", "search"),
    case("xmalloc", "threads that only free, after xmalloc-test", "exchange", str(int(THREADS) // 2)),
    case("alloc-test", "Pareto's sizes, one thread", "pareto", "1"),
    case("alloc-testN", f"the same, {THREADS} threads", "pareto", THREADS, str(8_000_000 // int(THREADS))),
    case("sh6", "waves of one size, after sh6bench", "waves", "sh6", THREADS, str(20_000 // int(THREADS))),
    case("sh8", "mixed waves over threads, after sh8bench", "waves", "sh8", THREADS, str(20_000 // int(THREADS))),
    case("cfrac", "tiny numbers, freed at once", "fractions"),
    case("espresso", "short bit sets in lists", "cubes"),
    Case("python", "python3, dicts and strings", [PYTHON, "-S", script("dicts.py")],
         {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}),
    Case("perl", "perl, hashes and arrays", ["perl", script("hashes.pl")],
         {"PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"}),
]

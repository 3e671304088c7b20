"""Runs one program once under one allocator, and says how long it took, what it printed and what the pager counted.

Invariants: no VMALLOC_ variable or LD_PRELOAD of the caller reaches a program; a program that fails makes a Run with
`failure` set, never an exception, so that one bad cell does not end the table."""
import glob
import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(BENCH)
BUILD = os.path.join(BENCH, "build")
PAGE = 4096
TIMEOUT = 300


@dataclass(frozen=True)
class Allocator:
    name: str
    library: str = ""  # what LD_PRELOAD gets; empty: the C library's own malloc


@dataclass
class Run:
    failure: str = ""
    seconds: float = 0.0  # wall time, start-up and all
    output: str = ""
    stats: dict = field(default_factory=dict)  # empty unless it ran under libvmalloc.so
    used: dict = field(default_factory=dict)  # what bench/usage.c says, if it was asked

    def processor_seconds(self):
        return (self.used["user"] + self.used["system"]) / 1e6

    def values(self):
        """The key=value pairs that the programs in bench/ print."""
        return dict(pair.split("=", 1) for pair in self.output.split() if "=" in pair)

    def nanoseconds(self):
        """What the program measured itself, else the wall time."""
        return float(self.values().get("ns", self.seconds * 1e9))

    def count(self, *path):
        """A counter of the statistics: run.count("faults", "swap_in")."""
        value = self.stats
        for key in path:
            value = value.get(key, {}) if isinstance(value, dict) else {}
        return value if isinstance(value, (int, float)) else 0

    def faults(self):
        """Every fault that was ours, of whatever kind."""
        kinds = self.stats.get("faults", {})
        return sum(n for kind, n in kinds.items() if kind != "stray" and isinstance(n, (int, float)))


def environment(allocator, extra):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("VMALLOC_") and k != "LD_PRELOAD"}
    if allocator.library:
        clean["LD_PRELOAD"] = allocator.library
    return {**clean, **extra}


def run(command, allocator=Allocator("glibc"), settings=None, extra=None, stats=False, before_exec=None, usage=False):
    """`settings` are VMALLOC_ variables: only libvmalloc.so gets them, and only for it `stats` means anything.
    With `usage` the program runs under bench/usage.c, which is not under the allocator itself."""
    ours = allocator.name == "vmalloc"
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        env = environment(allocator, {**(extra or {}), **((settings or {}) if ours else {})})
        report = os.path.join(directory, "stats.json")
        if ours and stats:
            env["VMALLOC_STATS"] = report
        used = os.path.join(directory, "used")
        if usage:
            command = [program("usage"), used, *command]
            if "LD_PRELOAD" in env:
                env["USAGE_PRELOAD"] = env.pop("LD_PRELOAD")
        start = time.perf_counter()
        try:
            done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=TIMEOUT,
                                  preexec_fn=before_exec)
        except subprocess.TimeoutExpired:
            return Run(f"did not end in {TIMEOUT} s")
        except (OSError, subprocess.SubprocessError) as error:
            return Run(str(error))
        result = Run(seconds=time.perf_counter() - start, output=done.stdout)
        if usage and os.path.exists(used):
            with open(used) as file:
                result.used = {key: int(value) for key, value in (pair.split("=") for pair in file.read().split())}
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
            result.failure = f"{how}: {lines[-1]}" if lines else how
        elif ours and stats:
            try:
                with open(report) as file:
                    result.stats = json.load(file)
            except (OSError, ValueError) as error:
                result.failure = f"no statistics: {error}"
        return result


def program(name):
    return os.path.join(BUILD, name)


def find_library(name):
    for directory in ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"):
        found = sorted(glob.glob(os.path.join(directory, name)))
        if found:
            return found[0]
    return ""


def allocators(vmalloc, skipped):
    """Every allocator that is here; why another is not goes to `skipped`."""
    wanted = [
        Allocator("jemalloc", find_library("libjemalloc.so.2")),
        Allocator("mimalloc", find_library("libmimalloc.so.2*")),
        Allocator("vmalloc", vmalloc if os.path.exists(vmalloc) else ""),
    ]
    advice = {"vmalloc": f"{os.path.relpath(vmalloc)} is not there (cargo build --release)",
              "jemalloc": "not installed (apt-get install libjemalloc2)",
              "mimalloc": "not installed (apt-get install libmimalloc2.0)"}
    for missing in (a for a in wanted if not a.library):
        skipped.append(f"{missing.name}: {advice[missing.name]}")
    return [Allocator("glibc")] + [a for a in wanted if a.library]


def first_line(text):
    return text.splitlines()[0] if text else ""


def median(values):
    return statistics.median(values) if values else float("nan")

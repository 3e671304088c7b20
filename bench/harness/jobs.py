"""The real programs of the contest and of the working set, each with a fixed job whose output is compared.

A job takes one to four seconds natively, and 20 to 80 MiB from malloc. `{in}` in a command is the directory of the inputs."""
import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

from .run import BENCH

PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


@dataclass(frozen=True)
class Job:
    name: str
    what: str
    command: list
    inputs: tuple = ()
    extra: dict = field(default_factory=dict)  # environment
    client: tuple = ()  # runs outside, beside the program; then the output that counts is the client's
    module: str = ""  # what PYTHON must be able to import

    def missing(self):
        """What this machine lacks for it, or nothing."""
        if not shutil.which(self.command[0]):
            return self.command[0]
        if self.client and not shutil.which("redis-benchmark"):
            return "redis-benchmark"
        if self.module and subprocess.run([PYTHON, "-c", f"import {self.module}"], capture_output=True).returncode:
            return f"python3-{self.module}"
        return ""


def script(name):
    return os.path.join(BENCH, "programs", name)


@functools.cache
def cc1():
    """The compiler proper, without the driver that would start it in a process of its own."""
    try:
        return subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True).stdout.strip() or "cc1"
    except OSError:
        return "cc1"


FROM_MALLOC = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SOCKET = "{in}/redis.sock"


def jobs():
    return [
        Job("python", "dicts of strings and objects", [PYTHON, "-S", script("dicts.py"), "3"], extra=FROM_MALLOC),
        Job("perl", "hashes of strings and arrays", ["perl", script("hashes.pl"), "3", "150000"],
            extra={"PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"}),
        Job("gawk", "words counted in 6 MiB of text", ["gawk", "-f", script("words.awk"), "{in}/text.txt"], ("text.txt",)),
        Job("sort", "30 MiB of lines by two keys",
            ["sort", "-S", "60M", "--parallel=1", "-k3,3", "-k5,5r", "{in}/lines.txt"], ("lines.txt",)),
        Job("sqlite", "a table of 220,000 rows in memory", ["sqlite3", ":memory:", f".read {script('table.sql')}"]),
        Job("cc1", "-O2 of functions of many blocks", [cc1(), "-quiet", "-O2", "-fpreprocessed", "{in}/unit.i", "-o", "-"], ("unit.i",)),
        Job("jq", "5 MB of objects grouped and sorted", ["jq", "-c", "-f", script("people.jq"), "{in}/people.json"], ("people.json",)),
        Job("ruby", "hashes of long strings", ["ruby", "--disable-gems", script("words.rb"), "2"]),
        Job("xz", "-9 with a dictionary of 4 MiB", ["xz", "-T1", "--lzma2=preset=9,dict=4MiB", "-c", "{in}/packed.txt"], ("packed.txt",)),
        Job("redis", "under redis-benchmark, data checked",
            ["redis-server", "--port", "0", "--unixsocket", SOCKET, "--save", "", "--appendonly", "no", "--dir", "{in}"],
            client=(sys.executable, script("redis_client.py"), SOCKET)),
        Job("pandas", "tables merged, grouped, sorted", [PYTHON, script("frames.py")],
            extra={**FROM_MALLOC, **ONE_THREAD}, module="pandas"),
    ]


def chosen(names, notes):
    """The jobs of these names, all if there are none; what is missing goes to the notes."""
    found = []
    for job in jobs():
        if names and job.name not in names:
            continue
        lacking = job.missing()
        if lacking:
            notes.append(f"{job.name}: skipped: {lacking} is not installed (scripts/install-deps bench)")
        else:
            found.append(job)
    return found

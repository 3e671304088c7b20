"""What scripts/suites does: finds the tests of a suite, runs each natively and preloaded, compares the verdicts."""

import ctypes
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Tests that change, stop or fill the machine, need devices and file systems of their own, or look for races
# in the kernel for minutes.
LEFT_OUT = re.compile(
    r"reboot|swapo|settimeofday|stime|clock_settime|clock_adjtime|adjtimex|leapsec|sethostname|setdomainname|"
    r"init_module|delete_module|kexec|mount|fsopen|fsconfig|fspick|open_tree|pivot_root|quotactl|acct0|syslog|vhangup|"
    r"fanotify|ioperm|iopl|oom|sysfs|statmount|listmount|fork_bomb|cve-|\bnfs|swapping|cgroup|hotplug|"
    r"bind06|fallocate0[56]|inotify09|sendmsg03|setsockopt0[67]|shmctl05|timerfd_settime02|\bwritev03"
)

# The exit status of a test of the Open POSIX suite.
POSIX = {0: "pass", 1: "FAIL", 2: "unresolved", 4: "unsupported", 5: "untested"}
# The verdict on a test that was ended because it took too long.
NO_END = "no end"
# The bits of the exit status of a test of LTP.
LTP = {1: "FAIL", 2: "broken", 4: "warning", 32: "unsupported"}


@dataclasses.dataclass
class Test:
    name: str
    command: list
    directory: pathlib.Path = None


class OpenPosix:
    """Every *.run-test below the directory; arguments in a file beside it."""

    def __init__(self, directory):
        self.directory = directory
        self.environment = {}

    def tests(self, words):
        for file in sorted(self.directory.rglob("*.run-test")):
            name = str(file.relative_to(self.directory).with_suffix("")).replace("conformance/interfaces/", "")
            if name.startswith("stress/") or LEFT_OUT.search(name) or not wanted(name, words):
                continue
            arguments = file.with_suffix(".args")
            yield Test(name, [str(file), *(shlex.split(arguments.read_text()) if arguments.exists() else [])], file.parent)

    @staticmethod
    def verdict(status, _text):
        return POSIX.get(status, f"status {status}")


class Listed:
    """Tests from a list of lines "NAME COMMAND…"."""

    def __init__(self, directory, file):
        self.directory, self.file = directory, file
        self.environment = {"PATH": f"{directory}:{os.environ['PATH']}"}

    def tests(self, words):
        for line in self.file.read_text().splitlines():
            name, _, command = line.partition("#")[0].strip().partition(" ")
            if command and not LEFT_OUT.search(name) and wanted(name, words):
                yield Test(name, ["bash", "-c", command] if re.search(r"[|;&$<>`]", command) else shlex.split(command))

    @staticmethod
    def verdict(status, _text):
        return "pass" if status == 0 else f"status {status}"


class Ltp(Listed):
    def __init__(self, directory, file):
        super().__init__(directory, file or directory / "runtest/syscalls")
        self.environment = {
            "LTPROOT": str(directory),
            "PATH": f"{directory}/testcases/bin:{os.environ['PATH']}",
            "LTP_COLORIZE_OUTPUT": "0",
            "LTP_TIMEOUT_MUL": "3",
            # No loop devices.
            "LTP_DEV": "/dev/null",
            # Tests that repeat something for as long as they like: less long. And no reading of the kernel's settings.
            "LTP_RUNTIME_MUL": "0.1",
            "KCONFIG_SKIP_CHECK": "y",
        }

    @staticmethod
    def verdict(status, text):
        """The words for the status, and how many checks passed."""
        words = [word for bit, word in LTP.items() if status & bit] if 0 <= status < 64 else [f"status {status}"]
        passed = len(re.findall(r"\bTPASS\b", text))
        return (" ".join(words) or "pass") + f", {passed} passed"


def find(directory, file):
    if (directory / "conformance").is_dir():
        return OpenPosix(directory)
    if (directory / "runtest").is_dir():
        return Ltp(directory, file)
    return Listed(directory, file) if file else None


def wanted(name, words):
    return not words or any(word in name for word in words)


def adopt_orphans():
    """Processes that a test leaves behind become ours, so that they can be ended."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children():
    """Kills our children until there are none; returns how many there were."""
    ended = 0
    me = os.getpid()
    while True:
        listed = pathlib.Path(f"/proc/{me}/task/{me}/children").read_text().split()
        if not listed:
            return ended
        for child in map(int, listed):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            ended += 1


class Runner:
    def __init__(self, suite, options):
        self.suite, self.options = suite, options

    def __enter__(self):
        adopt_orphans()
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="vmalloc-suites."))
        library = self.options.library or self.build()
        self.native, self.preloads = [], [str(library.resolve())]
        if not self.options.plain:
            mover = self.work / "onto_heap.so"
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", mover, ROOT / "scripts/lib/onto_heap.c"], check=True)
            self.native = [str(mover)]
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.work, ignore_errors=True)

    def build(self):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        command = ["cargo", "build", "--release", "-q", "-p", "vmalloc-exports"]
        if self.options.torture:
            target = target / "torture"
            command += ["--features", "torture"]
        subprocess.run([*command, "--target-dir", target], cwd=ROOT, check=True)
        return target / "release/libvmalloc.so"

    def run(self, test, settings):
        """One run: the verdict, seconds, and the last lines that were said."""
        scratch = self.work / "scratch"
        scratch.mkdir()
        environment = os.environ | self.suite.environment | {"TMPDIR": str(scratch)} | settings
        began = time.monotonic()
        log = self.work / "log"
        with log.open("wb") as output:
            try:
                process = subprocess.Popen(
                    ["env", *(f"{k}={v}" for k, v in settings.items()), *test.command],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                    cwd=test.directory or scratch, env=environment | {"LD_PRELOAD": ""},
                )
                status = process.wait(self.options.seconds)
            except subprocess.TimeoutExpired:
                status = None
            except OSError as error:
                return {"verdict": f"cannot run: {error.strerror}", "seconds": 0, "said": ""}
        seconds = round(time.monotonic() - began, 2)
        left = end_children()
        shutil.rmtree(scratch, ignore_errors=True)
        text = log.read_text(errors="replace")
        verdict = NO_END if status is None else self.suite.verdict(status, text)
        return {"verdict": verdict, "seconds": seconds, "left": left, "said": "\n".join(text.splitlines()[-30:])[-3000:]}

    def natively(self, test):
        return self.run(test, {"LD_PRELOAD": " ".join(self.native)})

    def preloaded(self, test):
        # Some tests become somebody else.
        self.work.chmod(0o755)
        for directory in (statistics := self.work / "statistics"), (swap := self.work / "swap"):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            directory.chmod(0o1777)
        outcome = self.run(test, {
            "LD_PRELOAD": " ".join(self.native + self.preloads),
            "VMALLOC_ARENA": self.options.arena,
            "VMALLOC_SWAP": self.options.swap,
            "VMALLOC_SWAP_DIR": str(swap),
            "VMALLOC_STATS": f"{statistics}/%p.json",
            "ONTO_HEAP_FILL": "4000000",
        })
        outcome |= {"evictions": 0, "swap_ins": 0, "processes": 0}
        for file in statistics.iterdir():
            try:
                found = json.loads(file.read_text())
            except ValueError:
                continue
            outcome["processes"] += 1
            outcome["evictions"] += sum(found["evictions"].values())
            outcome["swap_ins"] += found["faults"]["swap_in"]
        return outcome

    def compare(self, test):
        """One test. Where the verdicts differ, both runs are repeated twice: a test may be of two minds natively."""
        native, here = [self.natively(test)], [self.preloaded(test)]
        while here[-1]["verdict"] not in (native[0]["verdict"], NO_END) and len(here) < 3:
            native.append(self.natively(test))
            here.append(self.preloaded(test))
        verdicts = [[run["verdict"] for run in runs] for runs in (native, here)]
        if verdicts[0][0] == verdicts[1][0]:
            outcome = "same"
        elif NO_END in verdicts[1]:
            outcome = "no end"
        elif set(verdicts[1]) & set(verdicts[0]) or len(set(verdicts[0])) > 1:
            outcome = "unsteady"
        else:
            outcome = "differs"
        return {"name": test.name, "outcome": outcome, "native": verdicts[0], "here": verdicts[1], "last": here[-1]}


class Results:
    def __init__(self, file):
        self.file = file
        lines = file.read_text().splitlines() if file and file.exists() else []
        self.all = {result["name"]: result for result in map(json.loads, lines)}

    def __contains__(self, name):
        return name in self.all

    def add(self, result):
        self.all[result["name"]] = result
        if self.file:
            with self.file.open("a") as output:
                output.write(json.dumps(result) + "\n")
        if result["outcome"] != "same":
            print(f"{result['outcome']:9} {result['name']}: natively {result['native']}, here {result['here']}", flush=True)

    def table(self):
        """The sums, for a document."""
        results = self.all.values()
        paged = [result for result in results if result["last"]["evictions"]]
        print(f"{len(results)} tests: " + ", ".join(
            f"{sum(result['outcome'] == outcome for result in results)} {outcome}" for outcome in ("same", "unsteady", "no end", "differs")))
        verdicts = {}
        for result in results:
            verdict = result["native"][0].split(",")[0]
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
        print("natively: " + ", ".join(f"{n} {verdict}" for verdict, n in sorted(verdicts.items(), key=lambda item: -item[1])))
        print(f"paged: {len(paged)} tests, {sum(result['last']['evictions'] for result in results)} evictions, "
              f"{sum(result['last']['swap_ins'] for result in results)} swap-ins")

    def status(self):
        return int(any(result["outcome"] == "differs" for result in self.all.values()))

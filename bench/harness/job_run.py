"""Runs one job once: in a memory cgroup or free, under one allocator, and says what it took.

Invariants: a run that fails, is killed or is too slow makes an Outcome that says so, never an exception; its process and its
client have ended when it returns."""
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field

from .memory_group import swapped
from .run import Allocator, environment


@dataclass
class Outcome:
    failure: str = ""  # neither killed nor too slow, but wrong
    killed: bool = False  # by the kernel, because its limit was met
    slow: bool = False  # ended by us after `limit` seconds
    seconds: float = 0.0
    digest: str = ""
    major_faults: int = 0
    bytes_in: int = 0  # what the kernel swapped meanwhile
    bytes_out: int = 0
    stats: dict = field(default_factory=dict)  # of libvmalloc.so

    def good(self):
        return not (self.failure or self.killed or self.slow)


def filled(command, directory):
    return [part.replace("{in}", directory) for part in command]


def digest(stream):
    found = hashlib.sha256()
    while part := stream.read(1 << 16):
        found.update(part)
    return found.hexdigest()


class JobRun:
    """A job that has been started. `pid` is the program's; wait() is called once."""

    def __init__(self, job, directory, allocator=Allocator("glibc"), settings=None, group=None, limit=300, preload=""):
        self.limit, self.group = limit, group
        self.ours = allocator.name == "vmalloc"
        self.scratch = tempfile.TemporaryDirectory(prefix="bench-")
        self.report = os.path.join(self.scratch.name, "stats.json")
        env = {**environment(allocator, job.extra), "LC_ALL": "C", **(settings or {})}
        if preload:
            env["LD_PRELOAD"] = preload
        if self.ours:
            env["VMALLOC_STATS"] = self.report
        self.errors = open(os.path.join(self.scratch.name, "stderr"), "w+b")
        self.before, self.start = swapped(), time.perf_counter()
        self.process = subprocess.Popen(
            filled(job.command, directory), env=env, stdin=subprocess.DEVNULL, stderr=self.errors,
            stdout=subprocess.DEVNULL if job.client else subprocess.PIPE, preexec_fn=group.join if group else None)
        self.client = job.client and subprocess.Popen(filled(job.client, directory), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid

    def end(self):
        """Ends what still runs: the program, and its client, which would wait for it."""
        for process in filter(None, (self.process, self.client)):
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def wait(self):
        result, expired = Outcome(), threading.Event()

        def expire():
            expired.set()
            self.end()

        timer = threading.Timer(self.limit, expire)
        timer.start()
        try:
            result.digest = digest((self.client or self.process).stdout)
            if self.client and self.client.wait():
                self.end()
            _, status, usage = os.wait4(self.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            timer.cancel()
            if self.process.returncode is None:
                self.end()
                self.process.wait()
            if self.client:
                self.client.wait()
        result.seconds = time.perf_counter() - self.start
        result.major_faults = usage.ru_majflt
        result.bytes_in, result.bytes_out = (now - then for now, then in zip(swapped(), self.before))
        self.judge(result, expired.is_set())
        self.scratch.cleanup()
        return result

    def judge(self, result, expired):
        """Why it failed, if it did, and its statistics."""
        result.killed = bool(self.group and self.group.killed())
        result.slow = expired and not result.killed
        if result.killed or result.slow:
            return
        code = self.process.returncode or (self.client.returncode if self.client else 0)
        if code:
            self.errors.seek(0)
            last = self.errors.read().decode(errors="replace").strip().splitlines()[-1:]
            result.failure = " ".join([f"signal {-code}" if code < 0 else f"exit {code}", *last])
        elif self.ours:
            try:
                with open(self.report) as file:
                    result.stats = json.load(file)
            except (OSError, ValueError) as error:
                result.failure = f"no statistics: {error}"

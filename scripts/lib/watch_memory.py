"""Measures from outside how much memory a program's arena takes: watch_memory.py LIMIT COMMAND…

Samples /proc/PID/smaps of the command while it runs. The mappings of the memfd `vmalloc-arena` must
never hold more than LIMIT bytes, and the anonymous memory beside them must stay below the heap
that the command uses, or the bound would be an illusion. Prints the peaks; ends with 1 when a
bound was exceeded, when the arena was never seen or when the command failed.
"""

import os
import signal
import subprocess
import sys
import time

ANONYMOUS_MOST = 4 << 20  # stacks of threads, tables of the loader, libc's own data


def sample(pid):
    """(Pss of the arena's mappings, size of its file, anonymous Pss elsewhere), in bytes."""
    arena = anonymous = size = 0
    is_arena = False
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            key, _, rest = line.partition(" ")
            if not key.endswith(":"):
                is_arena = "memfd:vmalloc-arena" in rest
                if is_arena and not size:
                    size = allocated(f"/proc/{pid}/map_files/{key}")
            elif key == "Pss:" and is_arena:
                arena += int(rest.split()[0]) * 1024
            elif key == "Anonymous:" and not is_arena:
                anonymous += int(rest.split()[0]) * 1024
    return arena, size, anonymous


def allocated(path):
    """What the file behind a mapping takes; 0 where we may not look."""
    try:
        return os.stat(path).st_blocks * 512
    except OSError:
        return 0


def wait_until_stopped(pid):
    """Until every thread of the process is stopped, or gone."""
    for _ in range(1000):
        states = set()
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat") as stat:
                states.add(stat.read().rpartition(")")[2].split()[0])
        if states <= set("TtZX"):
            return
        time.sleep(0.001)


def main(limit, command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks, samples = (0, 0, 0), 0
    while process.poll() is None:
        try:
            # Stopped while it is read: pages that move meanwhile would be seen twice.
            process.send_signal(signal.SIGSTOP)
            wait_until_stopped(process.pid)
            peaks = tuple(map(max, peaks, sample(process.pid)))
            samples += 1
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass
        finally:
            process.send_signal(signal.SIGCONT)
        time.sleep(0.02)
    arena, size, anonymous = peaks
    print(f"{samples} samples: arena {arena >> 10} KiB mapped, {size >> 10} KiB in its file, limit {limit >> 10} KiB; "
          f"other anonymous memory {anonymous >> 10} KiB; exit status {process.returncode}")
    good = 0 < arena <= limit and size <= limit and anonymous <= ANONYMOUS_MOST and process.returncode == 0
    return 0 if good else 1


sys.exit(main(int(sys.argv[1]), sys.argv[2:]))

"""subprocess, multiprocessing with fork, and threading, over a heap that is mostly swapped out."""

import concurrent.futures
import hashlib
import multiprocessing
import os
import queue
import subprocess
import sys
import threading

table = {number: f"value {number * 2654435761 % 2**32:010d}" * (number % 7 + 1) for number in range(24000)}


def checksum(part):
    text = "".join(table[number] for number in range(part, 24000, 16))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


expected = [checksum(part) for part in range(16)]
print(expected)

with multiprocessing.get_context("fork").Pool(4) as pool:
    print("pool", pool.map(checksum, range(16)) == expected)
    big = pool.map(len, [table[number] * 100 for number in range(400)])
    print("pool", sum(big))

with concurrent.futures.ThreadPoolExecutor(8) as threads:
    print("threads", list(threads.map(checksum, range(16))) == expected)
    # Forks from threads while others work.
    runs = threads.map(lambda n: subprocess.run(["sed", "s/a/b/g"], input=table[n] * 500, text=True, capture_output=True).stdout, range(24))
    print("subprocess", [len(out) == len(table[n]) * 500 for n, out in enumerate(runs)].count(True))

environment = {f"VARIABLE_{number}": table[number] for number in range(500)} | {"PATH": os.environ["PATH"]}
out = subprocess.run(["env"], env=environment, capture_output=True).stdout
print("env", out.count(b"VARIABLE_"), all(f"VARIABLE_{n}={table[n]}\n".encode() in out for n in range(500)))

work, results = queue.Queue(), queue.Queue()


def worker():
    while (number := work.get()) is not None:
        results.put((number, [table[number], [bytes(number % 100)] * 3]))


workers = [threading.Thread(target=worker) for _ in range(6)]
for thread in workers:
    thread.start()
for number in range(5000):
    work.put(number)
for _ in workers:
    work.put(None)
for thread in workers:
    thread.join()
done = dict(results.get() for _ in range(results.qsize()))
print("queue", len(done), all(done[n] == [table[n], [bytes(n % 100)] * 3] for n in done))

for number in range(8):
    child = os.fork()
    if child == 0:
        os._exit(0 if checksum(number % 16) == expected[number % 16] else 1)
    print("fork", os.waitpid(child, 0)[1], end=" ", file=sys.stdout, flush=True)
print()
print("after", [checksum(part) for part in range(16)] == expected)

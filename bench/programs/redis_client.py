"""redis-benchmark against a server, between writing keys of our own and checking them: redis_client.py SOCKET

Waits for the server, ends it at last, and prints how many values were wrong. The keys of redis-benchmark are random, so
some may be missing, but each that is there has the one value that it writes."""
import itertools
import socket
import subprocess
import sys
import time

OURS, ITS, REQUESTS = 60_000, 60_000, 300_000
path = sys.argv[1]


def connect():
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.01)


connection = connect()
answers = connection.makefile("rb")


def answer():
    line = answers.readline()
    if not line.endswith(b"\r\n"):
        sys.exit("the server has gone")
    kind, rest = line[:1], line[1:-2]
    if kind == b"$":
        return None if rest == b"-1" else answers.read(int(rest) + 2)[:-2]
    return [answer() for _ in range(int(rest))] if kind == b"*" else rest


def ask(*words):
    """The answer to one command."""
    connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    return answer()


def value(number):
    return b"%d " % (number * 2654435761 % 2**32) + b"v" * (number % 300)


def batches(count):
    return (range(start, min(start + 500, count)) for start in range(0, count, 500))


for numbers in batches(OURS):
    ask(b"MSET", *itertools.chain.from_iterable((b"ours:%d" % n, value(n)) for n in numbers))
subprocess.run(["redis-benchmark", "-s", path, "-q", "-t", "set,get", "-n", str(REQUESTS), "-r", str(ITS), "-d", "200", "-P", "16",
                "-c", "20"], check=True, stdout=subprocess.DEVNULL)
wrong = 0
for numbers in batches(OURS):
    wrong += sum(got != value(n) for n, got in zip(numbers, ask(b"MGET", *(b"ours:%d" % n for n in numbers))))
written = set()
for numbers in batches(ITS):
    written.update(ask(b"MGET", *(b"key:%012d" % n for n in numbers)))
print(OURS, "keys of ours,", wrong, "wrong;", len(written - {None}), "value of redis-benchmark's")
connection.sendall(b"SHUTDOWN NOSAVE\r\n")
answers.read()

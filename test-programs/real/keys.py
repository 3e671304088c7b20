"""Writes keys of every type into redis, or checks them all: keys.py write|check PORT COUNT"""

import socket
import sys

what, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = socket.create_connection(("127.0.0.1", port))
answers = connection.makefile("rb")


def send(commands):
    parts = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for word in command:
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    connection.sendall(b"".join(parts))


def answer():
    line = answers.readline()
    kind, rest = line[:1], line[1:-2]
    if kind == b"$":
        return None if rest == b"-1" else answers.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return [answer() for _ in range(int(rest))]
    return rest


def value(number):
    return b"value %d " % (number * 2654435761 % 2**32) + b"x" * (number % 300)


def parts(number):
    return [b"%d" % (number * factor) for factor in range(1, 20 + number % 100)]


def write(number):
    yield [b"SET", b"text:%d" % number, value(number)]
    if number % 20 == 0:
        yield [b"RPUSH", b"list:%d" % number] + parts(number)
        yield [b"SADD", b"set:%d" % number] + parts(number)
        yield [b"HSET", b"hash:%d" % number] + [word for part in parts(number) for word in (part, value(int(part)))]
        yield [b"ZADD", b"order:%d" % number] + [word for part in parts(number) for word in (part, b"m" + part)]


def check(number):
    yield [b"GET", b"text:%d" % number], value(number)
    if number % 20 == 0:
        members = parts(number)
        yield [b"LRANGE", b"list:%d" % number, b"0", b"-1"], members
        yield [b"SCARD", b"set:%d" % number], b"%d" % len(set(members))
        yield [b"HMGET", b"hash:%d" % number] + members, [value(int(member)) for member in members]
        yield [b"ZRANGE", b"order:%d" % number, b"0", b"-1"], [b"m" + member for member in dict.fromkeys(members)]


wrong = done = 0
for start in range(0, count, 500):
    numbers = range(start, min(start + 500, count))
    if what == "write":
        commands = [command for number in numbers for command in write(number)]
        send(commands)
        results = [answer() for _ in commands]
    else:
        pairs = [pair for number in numbers for pair in check(number)]
        send([command for command, _ in pairs])
        for command, expected in pairs:
            done += 1
            if (got := answer()) != expected:
                wrong += 1
                print("wrong", command[:2], str(got)[:80], file=sys.stderr)
print(what, count, done, "values,", wrong, "wrong")
sys.exit(wrong != 0)

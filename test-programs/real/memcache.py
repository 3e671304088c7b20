"""Fills memcached from four connections and reads everything back: memcache.py PORT COUNT"""

import socket
import sys
import threading

port, count = int(sys.argv[1]), int(sys.argv[2])
wrong = [0] * 4


def value(number):
    return b"%d:" % number + b"abcdefgh" * (number % 150)


def work(part):
    connection = socket.create_connection(("127.0.0.1", port))
    answers = connection.makefile("rb")
    for number in range(part, count, 4):
        connection.sendall(b"set key%d 0 0 %d\r\n%s\r\n" % (number, len(value(number)), value(number)))
        wrong[part] += answers.readline() != b"STORED\r\n"
    for start in range(part, count, 400):
        numbers = range(start, min(start + 400, count), 4)
        connection.sendall(b"get " + b" ".join(b"key%d" % number for number in numbers) + b"\r\n")
        for number in numbers:
            header = answers.readline().split()
            wrong[part] += len(header) != 4 or answers.read(int(header[3]) + 2)[:-2] != value(number)
        wrong[part] += answers.readline() != b"END\r\n"


threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(count, "values,", sum(wrong), "wrong")
sys.exit(sum(wrong) != 0)

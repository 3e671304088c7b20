"""Builds and checks dicts and big strings: PYTHONMALLOC=malloc python3 dicts.py

Every value is computed again and compared; prints checksums.
"""

import hashlib


def value(number):
    return f"value {number * 2654435761 % 4294967296:010d} " + "x" * (number % 50)


table = {}
for number in range(40000):
    table[f"key{number}"] = value(number)
for number in range(0, 40000, 3):
    del table[f"key{number}"]
for number in range(40000):
    assert (f"key{number}" in table) == (number % 3 != 0), number
    if number % 3:
        assert table[f"key{number}"] == value(number), number
print(len(table), hashlib.sha256("".join(table.values()).encode()).hexdigest())

big = ("0123456789" * 100 + "\n") * 2000
parts = big.split("\n")
assert len(parts) == 2001 and all(len(part) == 1000 for part in parts[:-1])
joined = "-".join(reversed(parts))
print(len(joined), hashlib.sha256(joined.encode()).hexdigest())

nested = {i: {j: [i, j, i * j] for j in range(20)} for i in range(700)}
assert all(nested[i][j] == [i, j, i * j] for i in nested for j in nested[i])
print(sum(sum(sum(row) for row in inner.values()) for inner in nested.values()))

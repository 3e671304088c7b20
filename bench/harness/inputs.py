"""The files that the jobs of the contest read: made anew for each run of the harness, the same bytes every time."""
import json
import os
import random


def words(path, size, vocabulary, seed):
    """`size` bytes of lines of words; common words come often, as they do in texts."""
    numbers = random.Random(seed)
    known = ["".join(chr(97 + numbers.getrandbits(16) % 26) for _ in range(3 + numbers.getrandbits(8) % 12))
             for _ in range(vocabulary)]
    written = 0
    with open(path, "w") as file:
        while written < size:
            line = " ".join(known[int(vocabulary * numbers.random() ** 3)] for _ in range(7)) + "\n"
            written += file.write(line)


def people(path, count, seed):
    numbers = random.Random(seed)
    with open(path, "w") as file:
        json.dump([{"id": i, "name": f"name {numbers.getrandbits(24)}", "born": 1920 + numbers.getrandbits(6),
                    "town": f"town {numbers.getrandbits(9)}", "tags": [f"tag {numbers.getrandbits(10)}" for _ in range(3)]}
                   for i in range(count)], file)


FUNCTION = """
int f{i}(int a, int b, int *table) {{
    int sum = {i}, x = a, y = b, z = a ^ b, w = a + b;
    for (int n = 0; n < a; n++) {{
        switch ((n + b) % {cases}) {{
        {bodies}
        default: sum += table[n & 63];
        }}
        for (int j = 0; j < b; j++) table[(n + j) & 63] ^= sum * j + a / (j + 1) + x - y + z * w;
    }}
    return sum;
}}
"""
CASE = "case {k}: if (x > y + {k}) {{ x = y * {m} + z; w -= table[x & 63]; }} else {{ z += w ^ {k}; y = x; }} sum += x * z; break;"


def c_source(path, functions, cases):
    """A translation unit already preprocessed: functions of many blocks and variables, whose data flow fills the heap."""
    with open(path, "w") as file:
        for i in range(1, functions + 1):
            bodies = "\n        ".join(CASE.format(k=k, m=(k * i) % 31 + 2) for k in range(cases))
            file.write(FUNCTION.format(i=i, cases=cases + 1, bodies=bodies))


MAKERS = {
    "text.txt": lambda path: words(path, 6 << 20, 130_000, 1),
    "lines.txt": lambda path: words(path, 30 << 20, 60_000, 2),
    "packed.txt": lambda path: words(path, 4 << 20, 30_000, 3),
    "people.json": lambda path: people(path, 45_000, 4),
    "unit.i": lambda path: c_source(path, 5, 330),
}


def make(directory, names):
    """Makes the files of these names, so that they lie in the page cache, charged to nobody that is measured."""
    for name in sorted(set(names)):
        MAKERS[name](os.path.join(directory, name))

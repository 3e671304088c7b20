"""Writes a history of COMMITS commits for git fast-import, always the same: history.py COMMITS"""

import random
import sys

random.seed(7)
commits = int(sys.argv[1])
files = {f"file{number:02d}.txt": [f"line {line} of file {number}" for line in range(200)] for number in range(40)}
out = sys.stdout
for number in range(1, commits + 1):
    out.write("commit refs/heads/main\n")
    out.write(f"committer A <a@b> {1700000000 + number * 60} +0000\n")
    message = f"commit {number}\n"
    out.write(f"data {len(message)}\n{message}\n")
    for name in random.sample(sorted(files), 3) if number > 1 else files:
        lines = files[name]
        for _ in range(4):
            lines[random.randrange(len(lines))] = f"line {random.randrange(1000)} changed by {number} {random.random()}"
        if random.random() < 0.3:
            lines.insert(random.randrange(len(lines)), f"new in {number}")
        text = "\n".join(lines) + "\n"
        out.write(f"M 644 inline {name}\ndata {len(text)}\n{text}\n")

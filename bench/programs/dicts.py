"""A Python program that lives in malloc (run it with PYTHONMALLOC=malloc): dictionaries of strings, lists and objects.

Prints a checksum of its results, which no allocator may change."""
import sys

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 4


class Node:
    def __init__(self, key, value):
        self.key = key
        self.value = value


def words(count, seed):
    for i in range(count):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield f"word{seed >> 47}"


total = 0
for round in range(ROUNDS):
    counts = {}
    places = {}
    for index, word in enumerate(words(60000, round)):
        counts[word] = counts.get(word, 0) + 1
        places.setdefault(word, []).append(index)
    nodes = [Node(word, (count, places[word][0])) for word, count in counts.items()]
    nodes.sort(key=lambda node: node.key)
    text = ",".join(node.key.upper() for node in nodes)
    parts = [part[::-1] for part in text.split(",")]
    total += sum(len(part) for part in parts) + sum(node.value[1] for node in nodes)
    for word in list(counts)[::2]:
        del counts[word]
    total += len(counts)
print(total)

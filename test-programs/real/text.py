"""Writes a text of 300,000 lines for sort and gawk, always the same: text.py >FILE"""

import random

random.seed(20240229)
WORDS = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(3, 9))) for _ in range(20000)]
for number in range(300000):
    print(random.choice(WORDS), number * 7919 % 1000003, random.choice(WORDS), random.randint(0, 10**9))

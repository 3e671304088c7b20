"""json, pickle, zlib, bz2, lzma, sqlite3, struct, re and decimal: there and back again."""

import bz2
import decimal
import hashlib
import io
import json
import lzma
import mmap
import pickle
import re
import sqlite3
import tempfile
import zlib

rows = [{"id": n, "name": f"name {n * 7919 % 100003}", "list": [n, n * 2.5, None, True], "nested": {"x": "y" * (n % 40)}} for n in range(15000)]
text = json.dumps(rows)
print("json", len(text), json.loads(text) == rows, json.loads(json.dumps(rows, indent=1)) == rows)
for protocol in (0, 2, 5):
    pickled = pickle.dumps(rows, protocol)
    print("pickle", protocol, len(pickled), pickle.loads(pickled) == rows)
data = text.encode()
for name, module, level in (("zlib", zlib, {"level": 6}), ("bz2", bz2, {"compresslevel": 2}), ("lzma", lzma, {"preset": 0})):
    packed = module.compress(data, **level)
    print(name, hashlib.sha256(packed).hexdigest(), module.decompress(packed) == data)

database = sqlite3.connect(":memory:")
database.execute("create table t (id integer primary key, name text, value blob)")
database.executemany("insert into t values (?, ?, ?)", ((r["id"], r["name"], json.dumps(r).encode()) for r in rows))
database.execute("create index names on t (name)")
print("sqlite3", database.execute("select count(*), sum(length(value)), max(name) from t").fetchone())
wrong = sum(json.loads(value) != rows[id] for id, value in database.execute("select id, value from t order by name"))
print("sqlite3", wrong, database.execute("pragma integrity_check").fetchone())

with tempfile.TemporaryFile() as file:
    file.write(data)
    file.seek(0)
    print("file", file.read() == data)
    view = mmap.mmap(file.fileno(), 0)
    print("mmap", hashlib.sha256(view).hexdigest() == hashlib.sha256(data).hexdigest())
    view.close()
    file.seek(0)
    print("readinto", io.BufferedReader(io.FileIO(file.fileno(), closefd=False), 1 << 20).readinto(bytearray(len(data))))
print("re", len(re.findall(r'"name": "(name \d+)"', text)), len(re.sub(r"\d+", "#", text)))
decimal.getcontext().prec = 500
print("decimal", hashlib.sha256(str(decimal.Decimal(2).sqrt() * decimal.Decimal(3).ln()).encode()).hexdigest())
print("int", hashlib.sha256(str(pow(7, 4000)).encode()).hexdigest(), (1 << 2000000) % 1000003)

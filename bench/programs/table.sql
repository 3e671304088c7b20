-- A table of 220,000 rows and an index, all of it in memory, then joined, sorted and changed: sqlite3 :memory: <table.sql
PRAGMA temp_store = memory;
CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 220000)
INSERT INTO t SELECT i, (i * 7919) % 100003, 'row ' || ((i * 31) % 9973) || ' ' || hex(i * 2654435761) FROM n;
CREATE INDEX t_a ON t (a);
CREATE INDEX t_b ON t (b);
SELECT count(*), sum(a), sum(length(b)) FROM t;
SELECT count(*), sum(x.id + y.id) FROM t x JOIN t y ON y.a = (x.a * 31 + 7) % 100003 WHERE x.id % 3 = 0;
UPDATE t SET b = b || ' changed' WHERE a % 10 = 3;
DELETE FROM t WHERE id % 7 = 0;
SELECT count(*), sum(id), sum(length(b)), min(a), max(a) FROM t;
SELECT substr(b, 1, 8) w, count(*) FROM t GROUP BY w ORDER BY count(*) DESC, w LIMIT 5;
PRAGMA integrity_check;

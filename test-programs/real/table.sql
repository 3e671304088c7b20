-- A table of 200,000 rows and an index, all of it in memory: sqlite3 :memory: <table.sql
PRAGMA temp_store = memory;
CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO t SELECT i, (i * 7919) % 100003, 'row ' || ((i * 31) % 9973) FROM n;
CREATE INDEX t_a ON t (a);
SELECT count(*), sum(a), sum(length(b)) FROM t;
SELECT id, a, b FROM t WHERE a BETWEEN 500 AND 503 ORDER BY a, id;
UPDATE t SET b = b || ' changed' WHERE a % 10 = 3;
DELETE FROM t WHERE id % 7 = 0;
SELECT count(*), sum(id), sum(length(b)), min(a), max(a) FROM t;
SELECT b, count(*) FROM t GROUP BY b ORDER BY count(*) DESC, b LIMIT 5;
PRAGMA integrity_check;

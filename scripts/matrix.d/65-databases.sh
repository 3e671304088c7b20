# Databases whose data is mostly swapped out, and checked.

group databases

line "sqlite3, in memory" needs:sqlite3=sqlite3 <<'END'
under sqlite3 :memory: <"$real/table.sql"
END

line "sqlite3, larger than its cache" needs:sqlite3=sqlite3 VMALLOC_ARENA=4M VMALLOC_SWAP=64M <<'END'
{ echo "PRAGMA cache_size = -4000; PRAGMA journal_mode = wal; PRAGMA synchronous = off;"; cat "$real/table.sql"; } >script
under sqlite3 file.db <script
under sqlite3 file.db "PRAGMA cache_size = -2000; SELECT count(*), sum(id), sum(length(b)) FROM t; SELECT a, count(*) FROM t GROUP BY a ORDER BY 2 DESC, 1 LIMIT 5"
under sqlite3 file.db .dump | sha256sum
sqlite3 file.db "PRAGMA integrity_check"
END

line "redis: BGSAVE and AOF rewrite" needs:redis-server=redis-server VMALLOC_ARENA=12M VMALLOC_SWAP=512M <<'END'
start() {
    under redis-server --port 16379 --save "" --appendonly "$1" --dir "$PWD" --logfile "$PWD/log" >/dev/null 2>&1 &
    server=$!
    until_works redis-cli -p 16379 ping
    until [ "$(redis-cli -p 16379 ping)" = PONG ]; do sleep 0.2; done
}
idle() { until redis-cli -p 16379 info persistence | grep -q "$1_in_progress:0"; do sleep 0.1; done; }
stop() { redis-cli -p 16379 shutdown "$1"; wait $server; }
start yes
"$python" "$real/keys.py" write 16379 60000
redis-benchmark -p 16379 -q -n 20000 -r 20000 -c 20 -P 8 -t set,get,lpush,hset >/dev/null &
benchmark=$!
redis-cli -p 16379 bgsave; idle rdb_bgsave
wait $benchmark
redis-cli -p 16379 bgrewriteaof; sleep 0.2; idle aof_rewrite
redis-cli -p 16379 info persistence | grep -E 'last_bgsave_status|last_bgrewrite_status|last_write_status'
"$python" "$real/keys.py" check 16379 60000
stop save
start yes
"$python" "$real/keys.py" check 16379 60000
stop nosave
start no
"$python" "$real/keys.py" check 16379 60000
stop nosave
END

line "memcached" needs:memcached=memcached VMALLOC_ARENA=4M VMALLOC_SWAP=256M <<'END'
under memcached -U 0 -l 127.0.0.1 -p 21211 -m 64 -t 4 -u "$(id -un)" &
until_works python3 "$real/memcache.py" 21211 10
"$python" "$real/memcache.py" 21211 40000
END

line "postgres: initdb, pgbench" needs:psql=postgresql user:nobody VMALLOC_ARENA=2M VMALLOC_SWAP=256M limit:200 <<'END'
export PGHOST=$PWD PGUSER=postgres PGDATABASE=postgres
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
under "$bin/initdb" -D data -A trust -U postgres --no-sync -E UTF8 --locale=C >log 2>&1; echo $?
cat >>data/postgresql.conf <<IN
listen_addresses = ''
unix_socket_directories = '$PWD'
fsync = off
work_mem = '16MB'
IN
under "$bin/postgres" -D data >log 2>&1 &
server=$!
sql() { under "$bin/psql" -Atqc "$1"; }
until_works "$bin/psql" -c 'select 1'
under "$bin/pgbench" -q -i -s 2 >/dev/null 2>&1; echo $?
under "$bin/pgbench" -c 6 -j 2 -t 100 2>/dev/null | grep -E 'actually|failed'
sql "select count(*), sum(aid) from pgbench_accounts"
sql "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)"
sql "select (select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers)"
sql "select count(*) from (select a.aid, b.filler from pgbench_accounts a join pgbench_accounts b on a.aid = b.aid + 1 order by b.aid desc, a.filler) x"
sql "select md5(string_agg(md5(aid::text || bid::text), '' order by md5(aid::text))) from pgbench_accounts"
sql "create table t as select i, md5(i::text) m from generate_series(1, 100000) i; create index on t (m); select count(distinct m), min(m), max(m) from t"
under "$bin/pg_dump" -t t | grep -v '^\\' | sha256sum
sql "vacuum full analyze"
kill -INT $server; wait $server; echo $?
grep -E 'PANIC|terminated by|Cannot allocate' log || echo 'nothing in the log'
END

# Modules of CPython's own test suite. Their verdict is what is compared: the tests that pass natively
# must pass here. test_queue comes before test_threading, which leaves a trace function that threads
# then install, two at a time if they are slow: an error of its own. Debian's package has no
# test_sqlite3.

group "python tests"

version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# python_test MODULE… [WORD…]
python_test() {
    local name=$1
    shift
    line "$name" needs:"/usr/lib/python$version/test/test_subprocess.py=libpython$version-testsuite" limit:300 "$@" <<END
unset PYTHONHASHSEED
# Some tests start python as nobody, which needs a directory for its swap file.
chmod 1777 .
under /usr/bin/python3 -m test -v --timeout 1100 $name >log 2>&1
status=\$?
sed -n '/^Result/p; /^[0-9]* test.*failed/,/^$/p; /^\(FAIL\|ERROR\):/p' log
[ \$status -eq 0 ] || tail -n 9 log >&2
exit \$status
END
}

python_test "test_subprocess" VMALLOC_ARENA=16M VMALLOC_SWAP=128M
python_test "test_multiprocessing_fork" VMALLOC_ARENA=16M VMALLOC_SWAP=128M
python_test "test_queue test_thread test_threading" VMALLOC_ARENA=16M VMALLOC_SWAP=128M
python_test "test_asyncio" VMALLOC_ARENA=30M VMALLOC_SWAP=128M
python_test "test_concurrent_futures" VMALLOC_ARENA=12M VMALLOC_SWAP=128M
python_test "test_signal test_threadsignals test_faulthandler" VMALLOC_ARENA=6M VMALLOC_SWAP=128M
python_test "test_fork1 test_wait3 test_wait4 test_posix test_os" VMALLOC_ARENA=16M VMALLOC_SWAP=128M
python_test "test_json test_pickle test_marshal test_struct" VMALLOC_ARENA=24M VMALLOC_SWAP=128M
python_test "test_zlib test_gzip test_bz2 test_zipfile" VMALLOC_ARENA=16M VMALLOC_SWAP=128M
# It compresses 10 MiB of random bytes, with tables of 90 MiB that are read at random.
python_test "test_lzma" VMALLOC_ARENA=104M VMALLOC_SWAP=128M
# A virtual machine that cannot connect to itself waits there forever.
python_test "-i ThreadedVSOCK* test_socket test_select test_selectors test_epoll" VMALLOC_ARENA=16M VMALLOC_SWAP=128M
python_test "test_mmap test_io test_fileio test_largefile" VMALLOC_ARENA=16M VMALLOC_SWAP=128M
# test_ctypes has copies of a name of 32 MiB.
python_test "test_ssl test_hashlib test_ctypes" VMALLOC_ARENA=16M VMALLOC_SWAP=512M
python_test "test_dict test_list test_set test_long test_bytes test_re test_decimal test_array" VMALLOC_ARENA=16M VMALLOC_SWAP=128M

# Modules of CPython's own test suite. Their verdict is what is compared: the tests that pass natively
# must pass here.

group "python tests"

version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# python_test MODULE… [WORD…]
python_test() {
    local name=$1
    shift
    line "$name" needs:"/usr/lib/python$version/test/test_subprocess.py=libpython$version-testsuite" VMALLOC_ARENA=4M VMALLOC_SWAP=128M limit:240 "$@" <<END
unset PYTHONHASHSEED
under /usr/bin/python3 -m test -q --timeout 200 $name >log 2>&1
status=\$?
sed -n '/^Result/p; /^[0-9]* test.*failed/,/^$/p; /^\(FAIL\|ERROR\):/p' log
exit \$status
END
}

python_test "test_subprocess"
python_test "test_multiprocessing_fork"
python_test "test_threading test_thread test_queue"
python_test "test_asyncio"
python_test "test_concurrent_futures"
python_test "test_signal test_threadsignals test_faulthandler"
python_test "test_fork1 test_wait3 test_wait4 test_posix test_os"
python_test "test_json test_pickle test_marshal test_struct"
python_test "test_zlib test_gzip test_bz2 test_lzma test_zipfile"
python_test "test_sqlite3"
python_test "test_socket test_select test_selectors test_epoll"
python_test "test_mmap test_io test_fileio test_largefile"
python_test "test_ssl test_hashlib test_ctypes"
python_test "test_dict test_list test_set test_long test_bytes test_re test_decimal test_array"

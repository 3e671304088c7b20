# libvmpager: the programs of test-programs/capi/, alone and under libvmalloc.so.

group capi
vmpager=$(cd "$(dirname "$library")" && pwd)
c=$programs/capi
oracles=$PWD/test-data/oracles

# both [-e FILE] NAME [VAR=VALUE…] -- COMMAND…: ends well alone, with the output that FILE has, and with the
# same output under libvmalloc.so.
both() {
    local expected="" name settings=() status
    [ "$1" = -e ] && expected=$PWD/test-programs/capi/$2 && shift 2
    name=$1
    shift
    wanted "$name" || return 0
    while [ "$1" != -- ]; do settings+=("$1"); shift; done
    shift
    run "$work/alone" "$work/err" 120 "$@"
    status=$?
    if [ "$status" -ne 0 ]; then
        not_ok "$name" "exit status $status" "$work/err" "$work/alone"
    elif [ -n "$expected" ] && ! cmp -s "$work/alone" "$expected"; then
        diff "$work/alone" "$expected" >"$work/difference"
        not_ok "$name" "not the output in $expected" "$work/difference"
    elif ! run "$work/out" "$work/err" 120 env LD_PRELOAD="$library" "${settings[@]}" "$@"; then
        not_ok "$name" "fails under libvmalloc.so" "$work/err" "$work/out"
    elif ! cmp -s "$work/alone" "$work/out"; then
        diff "$work/alone" "$work/out" >"$work/difference"
        not_ok "$name" "another output under libvmalloc.so" "$work/difference"
    else
        ok "$name"
    fi
}

# mm_logs MM_LOG ORACLES LIBRARY: every log of the course's memory manager, by both orders of arguments,
# alone and under libvmalloc.so.
mm_logs() {
    local name expected policy frames input edition with
    set -o pipefail
    for expected in "$2"/mm/expected/*; do
        name=${expected##*/}
        IFS=- read -r _ policy frames input <<<"$name"
        for edition in "" old; do
            for with in "" "LD_PRELOAD=$3"; do
                timeout 30 env $with "$1" "$policy" "$frames" "$2/mm/input/$input" $edition |
                    diff - "$expected" || { echo "$name $edition $with"; return 1; }
            done
        done
    done
}

export -f mm_logs

if [ ! -e "$vmpager/libvmpager.so" ]; then
    skip "programs" "no libvmpager.so beside $library"
elif ! make -s -C test-programs capi VMPAGER="$vmpager" >"$work/build.log" 2>&1; then
    not_ok "programs" "cannot be built" "$work/build.log"
else
    check "mm: the logs of the course"        bash -c 'mm_logs "$@"' - "$c/mm_log" "$oracles" "$library"
    both  "mm: edges"                         VMALLOC_ARENA=1M -- "$c/mm_edges"
    both -e touch-1.expected "paged region: touches, 20 pages"      -- "$c/paged_touch" TC1 20
    both -e touch-3.expected "paged region: touches, 3 pages"       -- "$c/paged_touch" TC3 3
    both -e touch-3.expected "paged region: touches, 3 files"       -- "$c/paged_touch" TC3 3 files
    both  "paged region: edges"               VMALLOC_ARENA=1M -- "$c/paged_edges"
    both  "paged region: short traces, files"                  -- "$c/paged_traces" "$oracles" files 3000
    if [ "$mode" != quick ]; then
        check "paged region: all traces"      "$c/paged_traces" "$oracles"
    fi
    input=$PWD/test-programs/capi/program.fs
    both -e program.expected "forth, 3 pages in files"         -- "$c/forth" 3 files
    both -e program.expected "forth, 3 pages in swap"          -- "$c/forth" 3 swap
    input=/dev/null
    both  "vmap: owners"                      VMALLOC_ARENA=512K -- "$c/vmap_owners" 8 4 1000
    both  "vmap: forks and races"             VMALLOC_ARENA=1M -- "$c/vmap_races" 40 500
    both  "vmap: freed memory is everybody's" VMALLOC_ARENA=1M -- "$c/vmap_freed"
    if have strace; then
        check "vmap: no owner waits for another's disk" \
            strace -f -qq -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=20000 "$c/vmap_parallel"
        check "vmap: reads that fail" \
            strace -qq -o /dev/null -e trace=pread64 -e inject=pread64:error=EIO:when=3+7 "$c/vmap_failing"
        check "vmap: writes that fail" \
            strace -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:error=ENOSPC:when=3+2 "$c/vmap_failing"
    fi
    # Where files may not be as large as it takes, that is an error and not SIGXFSZ.
    check "paged region: ulimit -f" bash -c 'ulimit -f 1; "$0" TC1 20 >/dev/null 2>&1; [ $? -lt 128 ]' "$c/paged_touch"
    # What the library exports, the headers declare; the mangled names are those of C++ headers.
    check "exported names" bash -c 'for name in $(nm -D --defined-only "$0" | cut -d" " -f3 | grep -v "^_Z"); do
        grep -qw "$name" capi/include/* || { echo "$name is in no header"; exit 1; }; done' "$vmpager/libvmpager.so"
    # Who unloads it takes its handlers away from threads and faults that still need them.
    check "stays loaded" bash -c 'readelf -dW "$0" | grep -q NODELETE' "$vmpager/libvmpager.so"
    check "mm: a program that hides its names" bash -c '"${CC:-cc}" -fvisibility=hidden -Icapi/include -o "$0" test-programs/capi/mm_log.c \
        "$1/libvmpager.so" -Wl,-rpath,"$1" && "$0" 2 4 "$2/input/input_1" | diff - "$2/expected/result-2-4-input_1"' \
        "$work/mm_hidden" "$vmpager" "$oracles/mm"
    # The archive instead of the shared library.
    check "the static library" "${CC:-cc}" -O2 -Icapi/include -o "$work/mm_log" test-programs/capi/mm_log.c \
        "$vmpager/libvmpager.a" -pthread -ldl -lm
    check "the static library: the logs of the course" bash -c 'mm_logs "$@"' - "$work/mm_log" "$oracles" "$library"
fi

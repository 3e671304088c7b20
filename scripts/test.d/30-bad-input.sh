# Every bad variable: one clear line on stderr that names the variable and its value, nothing on
# standard output, exit status 78, and the program does not start.

group "bad input"

# refused NAME VALUE [WRAPPER…]: the WRAPPER (for instance `unshare -m sh -c …`) sets the scene.
refused() {
    local name=$1 value=$2 status
    shift 2
    wanted "$name=$value" || return 0
    run "$work/out" "$work/err" 20 "$@" env LD_PRELOAD="$library" "$name=$value" "$programs/vector_multiply" 1000
    status=$?
    if [ "$status" -ne 78 ]; then
        not_ok "$name=$value" "exit status $status, not 78" "$work/err" "$work/out"
    elif [ -s "$work/out" ]; then
        not_ok "$name=$value" "something on standard output" "$work/out"
    elif [ "$(wc -l <"$work/err")" -ne 1 ]; then
        not_ok "$name=$value" "not exactly one line" "$work/err"
    elif ! grep -qF "$name" "$work/err" || ! grep -qF -- "$value" "$work/err"; then
        not_ok "$name=$value" "the line does not name variable and value" "$work/err"
    else
        ok "$name=$value" "$(cut -c 1-110 "$work/err")"
    fi
}

for value in 8Q 0 -8M 64T 16K abc 8MB 1.5M " 8M" 99999999999999999999; do
    refused VMALLOC_ARENA "$value"
done
for value in 8Q -1 abc 16Mx 9999999T; do refused VMALLOC_SWAP "$value"; done
for value in 8Q 0 -1 arenas 9999999T; do refused VMALLOC_HEAP "$value"; done
for value in 8Q -1 abc 8M 1G; do refused VMALLOC_SHARED "$value"; done
for value in 0 3000 5K -4K 4Q 1G abc; do refused VMALLOC_PAGE "$value"; done
for value in lru-k FIFO "fifo " nonsense; do refused VMALLOC_POLICY "$value"; done
refused VMALLOC_ARENAS 8M
refused VMALLOC_ 8M
refused VMALLOC_policy fifo
refused VMALLOC_SWAP_DIR "$work/missing"
refused VMALLOC_SWAP_DIR "$programs/owners"
refused VMALLOC_STATS "$work/missing/file"
refused VMALLOC_TRACE "$work/missing/file"

# A full and a read-only directory need a file system of their own, so root and mount namespaces.
mkdir -p "$work/mounted"
if unshare -m mount -t tmpfs none "$work/mounted" 2>/dev/null; then
    on_tmpfs() {   # OPTIONS: the rest of the command runs with such a tmpfs on $work/mounted
        scene=(unshare -m sh -c "mount -t tmpfs -o $1 none '$work/mounted' && exec \"\$@\"" sh)
    }
    on_tmpfs size=1M
    refused VMALLOC_SWAP_DIR "$work/mounted" "${scene[@]}"
    on_tmpfs ro
    refused VMALLOC_SWAP_DIR "$work/mounted/." "${scene[@]}"
else
    skip "full and read-only directories" "mount namespaces need root"
fi

# The arena never exceeds its size, measured from outside in smaps.

group memory

# bounded NAME LIMIT VAR=VALUE… -- COMMAND…
bounded() {
    local name=$1 most=$2 settings=()
    shift 2
    wanted "$name" || return 0
    while [ "$1" != -- ]; do settings+=("$1"); shift; done
    shift
    if timeout -k 5 120 "$python" scripts/lib/watch_memory.py "$most" \
        env LD_PRELOAD="$library" "${settings[@]}" "$@" >"$work/memory" 2>"$work/err"; then
        ok "$name" "$(cat "$work/memory")"
    else
        not_ok "$name" "$(cat "$work/memory")" "$work/err"
    fi
}

bounded "default arena" $((8 << 20)) -- "$programs/owners" 4 16M 8
bounded "1 MiB" $((1 << 20)) VMALLOC_ARENA=1M VMALLOC_SWAP=8M -- "$programs/owners" 4 6M 8
bounded "1 MiB, random blocks" $((1 << 20)) VMALLOC_ARENA=1M VMALLOC_SWAP=8M -- "$programs/shadow_model" 4 3s 1 5M

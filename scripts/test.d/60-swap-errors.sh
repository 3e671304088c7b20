# Failing disks, injected by strace into the system calls that the swap file is read and written with:
# a write error loses nothing, a read error is SIGBUS with a message.

group "swap errors"

# injected CALLS ERROR WHEN: the words that make strace do it.
injected() {
    scene=(strace -f -qq -o /dev/null -e "trace=$1" -e "inject=$1:error=$2:when=$3")
}
writes=pwrite64,pwritev,pwritev2 reads=pread64,preadv,preadv2

write_error() {
    wanted "$1 while writing" || return 0
    injected "$writes" "$1" 5+7
    "$programs/owners" 2 10M 1 >"$work/native"
    rm -rf "$work/stats"
    mkdir "$work/stats"
    run "$work/out" "$work/err" 120 "${scene[@]}" \
        env LD_PRELOAD="$library" VMALLOC_STATS="$work/stats/%p.json" "$programs/owners" 2 10M 1
    local status=$?
    if [ "$status" -ne 0 ] || ! cmp -s "$work/native" "$work/out"; then
        not_ok "$1 while writing" "exit status $status, or another output" "$work/err" "$work/out"
    elif ! totals >"$work/totals" || [ "$(cut -d ' ' -f 3 "$work/totals")" -eq 0 ]; then
        not_ok "$1 while writing" "no error was counted: was there one?" "$work/totals"
    else
        ok "$1 while writing loses nothing" "$(cut -d ' ' -f 3 "$work/totals") errors"
    fi
}

read_error() {
    wanted "$1 while reading" || return 0
    injected "$reads" "$1" 60
    run "$work/out" "$work/err" 120 "${scene[@]}" env LD_PRELOAD="$library" "$programs/owners" 2 10M 1
    local status=$?
    if [ "$status" -ne 135 ] || ! [ -s "$work/err" ]; then
        not_ok "$1 while reading" "exit status $status, not 135 (SIGBUS), or no message" "$work/err"
    else
        ok "$1 while reading is SIGBUS" "$(head -n 1 "$work/err" | cut -c 1-110)"
    fi
}

if [ "$mode" = quick ]; then
    :
elif have strace && strace -o /dev/null true 2>/dev/null; then
    write_error EIO
    write_error ENOSPC
    read_error EIO
else
    skip "EIO and ENOSPC" "strace cannot be used here"
fi

# The swap file has its length from the first malloc on; its blocks come with the pages that need them.
whole_length() {
    local length blocks
    coproc under { LD_PRELOAD="$library" VMALLOC_SWAP=16M exec bash -c 'echo ready; read -r _'; }
    read -r _ <&"${under[0]}"
    read -r length blocks < <(stat -Lc '%s %b' $(find "/proc/$under_PID/fd" -lname '/*(deleted)' ! -lname '*memfd*'))
    echo >&"${under[1]}"
    wait "$under_PID"
    echo "$length bytes long, $blocks blocks"
    [ "$length" = 16777216 ] && [ "$blocks" = 0 ]
}
export -f whole_length
export library
check "the swap file has its length from the start" bash -c whole_length

# Counting checks: every check prints one line, `finish` prints the totals. Sourced, not run.
#
# A check belongs to a group (`group NAME`) and is run when no words were given or when one of them
# occurs in "GROUP: NAME".

words=() passed=0 failed=0 skipped=0 current="" check_began=${EPOCHREALTIME/[^0-9]/}
work=$(mktemp -d "${TMPDIR:-/tmp}/vmalloc-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
ulimit -S -c 0   # the test of cores raises it

group() { current=$1; }

# Whether the check with this name was asked for. Its time begins now.
wanted() {
    check_began=${EPOCHREALTIME/[^0-9]/}
    [ ${#words[@]} -eq 0 ] && return 0
    local word
    for word in "${words[@]}"; do
        [[ "$current: $1" == *"$word"* ]] && return 0
    done
    return 1
}

# The seconds since the check began, at the end of its line.
took() {
    local tenths=$(((${EPOCHREALTIME/[^0-9]/} - check_began) / 100000))
    check_began=${EPOCHREALTIME/[^0-9]/}
    printf '%d.%ds' $((tenths / 10)) $((tenths % 10))
}

# ok NAME [DETAIL]
ok() {
    passed=$((passed + 1))
    printf 'ok    %s: %s  [%s]%s\n' "$current" "$1" "$(took)" "${2:+  ($2)}"
}

# not_ok NAME REASON [FILE…]: a failure shows why, and the first lines of the files that explain it.
not_ok() {
    local name=$1 why=$2
    shift 2
    failed=$((failed + 1))
    local file said
    said=$(for file in "$@"; do
        [ -s "$file" ] && head -n 12 "$file" | cut -c 1-400 | sed 's/^/      | /'
    done)
    # At once, since another lane may write too.
    printf 'FAIL  %s: %s: %s  [%s]%s\n' "$current" "$name" "$why" "$(took)" "${said:+$'\n'$said}"
}

# skip NAME REASON: not possible on this machine.
skip() {
    wanted "$1" || return 0
    skipped=$((skipped + 1))
    printf 'skip  %s: %s: %s\n' "$current" "$1" "$2"
}

# check NAME COMMAND…: passes when the command does.
check() {
    local name=$1 log=$work/check.log
    shift
    wanted "$name" || return 0
    timeout -k 5 "${limit:-600}" "$@" >"$log" 2>&1 </dev/null
    local status=$?
    if [ "$status" -eq 0 ]; then
        ok "$name"
    else
        tail -n 12 "$log" >"$log.tail"
        not_ok "$name" "status $status" "$log.tail"
    fi
}

# in_lanes FILE…: runs the files with checks side by side, as many at a time as there are processors, and counts what
# passed. Each has a directory and variables of its own.
in_lanes() {
    local file running=0 lanes=$work/lanes
    mkdir -p "$lanes"
    for file in "$@"; do
        if [ "$running" -ge "$(nproc)" ]; then
            wait -n
            running=$((running - 1))
        fi
        (
            trap - EXIT
            work=$(mktemp -d "$lanes/XXXXXX") passed=0 failed=0 skipped=0
            . "$file"
            echo "$passed $failed $skipped" >"$lanes/$(basename "$file").count"
        ) &
        running=$((running + 1))
    done
    wait
    local p f s
    for file in "$@"; do
        if read -r p f s 2>/dev/null <"$lanes/$(basename "$file").count"; then
            passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        else
            current=$(basename "$file")
            not_ok "the whole file" "it did not come to its end"
        fi
    done
}

have() { command -v "$1" >/dev/null 2>&1; }

finish() {
    printf '%d passed, %d failed' "$passed" "$failed"
    [ "$skipped" -gt 0 ] && printf ', %d skipped' "$skipped"
    echo
    [ "$failed" -eq 0 ]
}

# Counting checks: every check prints one line, `finish` prints the totals. Sourced, not run.
#
# A check belongs to a group (`group NAME`) and is run when no words were given or when one of them
# occurs in "GROUP: NAME".

words=() passed=0 failed=0 skipped=0 current=""
work=$(mktemp -d "${TMPDIR:-/tmp}/vmalloc-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
ulimit -S -c 0   # the test of cores raises it

group() { current=$1; }

# Whether the check with this name was asked for.
wanted() {
    [ ${#words[@]} -eq 0 ] && return 0
    local word
    for word in "${words[@]}"; do
        [[ "$current: $1" == *"$word"* ]] && return 0
    done
    return 1
}

# ok NAME [DETAIL]
ok() {
    passed=$((passed + 1))
    printf 'ok    %s: %s%s\n' "$current" "$1" "${2:+  ($2)}"
}

# not_ok NAME REASON [FILE…]: a failure shows why, and the first lines of the files that explain it.
not_ok() {
    local name=$1 why=$2
    shift 2
    failed=$((failed + 1))
    printf 'FAIL  %s: %s: %s\n' "$current" "$name" "$why"
    local file
    for file in "$@"; do
        [ -s "$file" ] && head -n 12 "$file" | cut -c 1-400 | sed 's/^/      | /'
    done
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

have() { command -v "$1" >/dev/null 2>&1; }

finish() {
    printf '%d passed, %d failed' "$passed" "$failed"
    [ "$skipped" -gt 0 ] && printf ', %d skipped' "$skipped"
    echo
    [ "$failed" -eq 0 ]
}

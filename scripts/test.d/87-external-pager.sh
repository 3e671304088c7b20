# The external pager: its decisions under an infrastructure of our own, and `vmalloc pager` with applications that
# behave, that die, that hang, and that are none. After each story the pager's trace is replayed by a model.

group "external pager"
vmpager=$(cd "$(dirname "$library")" && pwd)
external=$PWD/test-programs/external

# served NAME [ARGUMENTS OF vmalloc pager…] -- STORY…: of test-programs/external/scenarios.
served() {
    local name=$1 arguments=()
    shift
    while [ "$1" != -- ]; do arguments+=("$1"); shift; done
    shift
    limit=60 check "$name" "$external/with-pager" "$vmpager/vmalloc" "${arguments[@]}" -- "$external/scenarios" "$@"
}

# told NAME STATUS TEXT COMMAND…: it ends with this status and says this on stderr.
told() {
    local name=$1 expected=$2 text=$3 status
    shift 3
    wanted "$name" || return 0
    run "$work/out" "$work/err" 30 "$@"
    status=$?
    if [ "$status" -eq "$expected" ] && grep -q -- "$text" "$work/err"; then
        ok "$name"
    else
        not_ok "$name" "status $status, not $expected, or no '$text'" "$work/err"
    fi
}

if [ ! -e "$vmpager/libvmpager.so" ] || [ ! -x "$vmpager/vmalloc" ]; then
    skip "programs" "no libvmpager.so, or no vmalloc, beside $library"
elif ! make -s -C "$external" LIB="$vmpager" >"$work/build.log" 2>&1; then
    not_ok "programs" "cannot be built" "$work/build.log"
else
    check "the seven functions decide by the rules" "$programs/external/decisions"
    check "and with a course's own header" "$programs/external/decisions_course" 5000 2
    served "fill beyond memory, read before write" -m 4 -- fill
    served "the least memory"                -m 2 -- syslog
    served "more memory than pages"          -m 1000 -- in_memory
    served "syslog"                          -m 4 -- syslog
    served "turns"                           -m 4 -- turns
    served "50 applications at once"         -m 6 -d 1000 -- many
    served "extend until the disk is full"   -m 4 -d 33 -- exhaust 33
    served "no disk at all"                  -d 0 -- exhaust 0
    served "invalid accesses"                -m 4 -- invalid
    served "fork"                            -m 4 -- eval ./forks
    served "signals and threads"             -m 4 -- interrupted
    served "under libvmalloc.so"             -m 4 -- preloaded "$library"
    served "applications that are killed"    -m 4 -d 300 -- killed
    served "garbage"                         -m 4 -- garbage
    served "an application that spoils its memory" -m 4 -- spoilt
    served "an application that keeps its mappings" -m 4 -- kept_mappings
    served "an application that hangs"       -m 4 --patience 1 -- hang
    PAGER_MAY_DIE=1 served "the pager is killed" -m 4 -- pager_killed
    PAGER_MAY_DIE=1 served "one pager at a socket" -m 4 -- second_pager "$vmpager/vmalloc"
    [ "$(id -u)" -eq 0 ] && have setpriv && served "another user" -m 4 -- other_user
    served "nobody reads its messages"       -m 4 -- unheard "$vmpager/vmalloc"
    served "no pager behind the socket"      -m 4 -- liar
    if [ "$mode" = full ]; then
        served "asking out of turn"              -m 4 -- out_of_turn
        served "asking without listening"        -m 4 -d 20000 -- flood
        served "patience ends for the silent"    -m 4 --patience 1 -- patience
        served "a pager that stands still"       -m 4 -- pager_stopped
        served "silence"                         -m 4 -- silence
    fi

    mkdir -m 700 "$work/private"
    mkdir -m 755 "$work/open"
    told "no pager"              69 "no external pager listens at $work/private/s" env VM_PAGER="$work/private/s" "$programs/external/fill"
    told "no room for the arena" 69 "ulimit -v" bash -c 'ulimit -v 400000; exec "$0"' "$programs/external/fill"
    told "a directory for all"   125 "chmod 700" "$vmpager/vmalloc" pager --socket "$work/open/s"
    told "too little memory"     2 "1 is not in 2" "$vmpager/vmalloc" pager -m 1 --socket "$work/private/s"
    told "too long a name"       125 "too long" "$vmpager/vmalloc" pager --socket "$work/private/$(printf 'x%.0s' {1..120})"
    told "no place for the disk" 125 "cannot make the disk" "$vmpager/vmalloc" pager --socket "$work/private/s" --disk-dir /nowhere
    told "no place for the trace" 125 "cannot make the trace" "$vmpager/vmalloc" pager --socket "$work/private/s" --trace /nowhere/t
fi

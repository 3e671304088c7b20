# Running a program natively and under the library, and comparing the two. Sourced, not run.
#
# Needs check.sh, and `library` (the path of libvmalloc.so).

input=/dev/null   # standard input of what is run
python=$(python3 -c 'import sys; print(sys.executable)')
programs=$PWD/test-programs/build
export library programs python   # for checks that are functions
policies=(fifo clock third-chance random)

# run OUT ERR SECONDS COMMAND…: the exit status of the command, which may die by a signal without
# the shell remarking on it. Standard input is $input.
run() {
    local out=$1 err=$2 seconds=$3
    shift 3
    { timeout -k 5 "$seconds" "$@" >"$out" 2>"$err" <"$input"; } 2>/dev/null
}

# preloaded OUT ERR SECONDS VAR=VALUE… -- COMMAND…: the same under the library. The statistics of
# every process go to $work/stats, and `totals` then sums them up.
preloaded() {
    local out=$1 err=$2 seconds=$3 variables=()
    shift 3
    while [ "$1" != -- ]; do variables+=("$1"); shift; done
    shift
    rm -rf "$work/stats"
    mkdir "$work/stats"
    run "$out" "$err" "$seconds" env LD_PRELOAD="$library" VMALLOC_STATS="$work/stats/%p.json" "${variables[@]}" "$@"
}

# The statistics of the last preloaded run on one line, "EVICTIONS FAULTS ERRORS PROCESSES", or a
# complaint and a failure when they contradict themselves.
totals() { "$python" scripts/lib/statistics.py "$work/stats"; }

now() { date +%s%N; }
seconds_since() { echo "$((($(now) - $1) / 10000000))" | sed 's/^\(.\)$/0\1/; s/\(..\)$/.\1/; s/^\./0./'; }

# same [-p|-n] [-k TEXT] [-a] [-t SECONDS] NAME VAR=VALUE… -- COMMAND…
#
# Standard output and exit status must be the same natively and under the library, and the library
# must say nothing on stderr. -p: it must have paged (evictions > 0); -n: it must not. -k: this must
# be the output; -a: alone, without a native run, TEXT and status 0 being known.
# Leaves native_time, preload_time, evictions and faults for those who print tables.
same() {
    local pages="" alone="" known="" limit=120 name settings=() native status expected began
    while :; do
        case $1 in
            -p) pages=some; shift ;;
            -n) pages=none; shift ;;
            -a) alone=1; shift ;;
            -k) known=$2; shift 2 ;;
            -t) limit=$2; shift 2 ;;
            *) break ;;
        esac
    done
    name=$1
    shift
    wanted "$name" || return 0
    while [ "$1" != -- ]; do settings+=("$1"); shift; done
    shift
    native=$work/native.$(printf '%s\0' "$input" "$@" | md5sum | cut -c 1-16)
    if [ -n "$alone" ]; then
        echo "$known" >"$native.out"
        : >"$native.err"
        echo 0 | tee "$native.time" >"$native.status"
    elif [ ! -e "$native.status" ]; then
        began=$(now)
        run "$native.out" "$native.err" "$limit" "$@"
        echo "$?" >"$native.status"
        seconds_since "$began" >"$native.time"
    fi
    native_time=$(cat "$native.time") expected=$(cat "$native.status")
    began=$(now)
    preloaded "$work/out" "$work/err" "$limit" "${settings[@]}" -- "$@"
    status=$?
    preload_time=$(seconds_since "$began")
    evictions=0 faults=0
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        not_ok "$name" "did not end within $limit seconds" "$work/err"
    elif [ "$status" -ne "$expected" ]; then
        not_ok "$name" "exit status $status, natively $expected" "$work/err" "$native.err"
    elif ! cmp -s "$native.out" "$work/out"; then
        diff "$native.out" "$work/out" >"$work/difference"
        not_ok "$name" "another output than natively" "$work/difference" "$work/err"
    elif [ -n "$known" ] && [ "$(cat "$work/out")" != "$known" ]; then
        not_ok "$name" "expected $known" "$work/out"
    elif [ -s "$work/err" ] && ! [ -s "$native.err" ]; then
        not_ok "$name" "something on stderr" "$work/err"
    elif ! totals >"$work/totals"; then
        not_ok "$name" "its statistics are wrong" "$work/totals"
    else
        read -r evictions faults _ <"$work/totals"
        if [ "$pages" = some ] && [ "$evictions" -eq 0 ]; then
            not_ok "$name" "nothing was paged out, this proves nothing"
        elif [ "$pages" = none ] && [ "$evictions" -ne 0 ]; then
            not_ok "$name" "$evictions evictions although there is room"
        else
            ok "$name" "${preload_time}s, natively ${native_time}s, $evictions evictions"
            return 0
        fi
    fi
    return 1
}

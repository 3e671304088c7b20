# A line of the matrix: a shell script that is run twice, in which `under PROGRAM…` is first the
# program alone and then the program under the library. Sourced by scripts/matrix.
#
# Needs check.sh, preload.sh and the options of scripts/matrix.

target=${CARGO_TARGET_DIR:-$PWD/target}
kept=$target/matrix
row="%-34s %8s %8s %9s %9s %9s %5s  %s\n"

prepare_matrix() {
    [ "$mode" = list ] && return 0
    mkdir -p "$kept"
    [ "$mode" = docs ] && return 0
    if [ -z "$library" ]; then
        library=$target/release/libvmalloc.so
        cargo build -q --release && cargo build -q --release -p vmalloc-exports || return 1
    fi
    library=$(realpath -e "$library") || return 1
    [ -z "$delay" ] || make -s -C test-programs || return 1
    # Lines may run as another user.
    chmod 755 "$work"
    mkdir -m 1777 "$work/statistics"
    mkdir "$work/bin"
    cp -r test-programs/real "$work/real"
    mkdir "$work/sources"
    cp test-programs/*.* test-programs/Makefile "$work/sources"
    "$python" test-programs/real/text.py >"$work/text"
    printf "$row" program "native s" "here s" faults swap-ins evictions procs verdict
}

# under VAR=VALUE…: writes the command `under` of the second run.
write_under() {
    local start=""
    [ -z "$delay" ] || start="$programs/slow_swap"
    printf '#!/bin/sh\nexec %s env LD_PRELOAD=%s VMALLOC_STATS=%s/%%p.json %s "$@"\n' \
        "$start" "$library" "$work/statistics" "$*" >"$work/bin/under.new"
    chmod 755 "$work/bin/under.new"
    mv "$work/bin/under.new" "$work/bin/under"
}

# bytes SIZE
bytes() { numfmt --from=iec "$1"; }

# The settings of a line with the options of the command line put in.
settle() {
    local setting name value settled=()
    for setting in "$@"; do
        name=${setting%%=*} value=${setting#*=}
        [ -n "$arena" ] && [ "$name" = VMALLOC_ARENA ] && value=$arena
        if [ -n "$page" ] && [ "$name" = VMALLOC_ARENA ] && [ "$(bytes "$value")" -lt $((64 * $(bytes "$page"))) ]; then
            value=$((64 * $(bytes "$page")))
        fi
        settled+=("$name=$value")
    done
    [ -n "$page" ] && settled+=("VMALLOC_PAGE=$page")
    [ -n "$policy" ] && settled+=("VMALLOC_POLICY=$policy")
    echo "${settled[*]}"
}

# The options of this run as a part of a file's name, like ".policy-fifo.delay"; nothing without options.
variant() {
    printf '%s' "${policy:+.policy-$policy}${page:+.page-$page}${delay:+.delay}"
}

# run_line DIRECTORY SECONDS USER: runs $work/line.sh in a fresh directory; what it writes goes to
# out, err, status and time in DIRECTORY.
run_line() {
    local to=$1 seconds=$2 user=$3 began as=()
    mkdir -p "$to"
    rm -rf "$work/run" "$work/statistics"
    mkdir -m 1777 "$work/statistics"
    mkdir "$work/run"
    if [ -n "$user" ] && [ "$(id -u)" -eq 0 ]; then
        chown "$user" "$work/run"
        as=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups)
    fi
    began=$(now)
    (cd "$work/run" && PATH=$work/bin:$PATH python=$python user_home=$HOME HOME=$work/run TMPDIR=$work/run matrix=$work \
        run "$to/out" "$to/err" "$seconds" "${as[@]}" bash "$work/line.sh")
    echo $? >"$to/status"
    seconds_since "$began" >"$to/time"
}

# line NAME WORD… <<SCRIPT: one line of the matrix. Words:
#   VMALLOC_…=VALUE    settings, besides the defaults
#   needs:COMMAND=PACKAGE, needs:/FILE=PACKAGE    what must be installed
#   user:NAME          run as this user
#   few:REASON         it need not page by the thousands, for this reason
#   limit:SECONDS      instead of 120
line() {
    local name=$1 word settings=() needs=() user="" few="" seconds=120
    shift
    for word in "$@"; do
        case $word in
            VMALLOC_*) settings+=("$word") ;;
            needs:*) needs+=("${word#needs:}") ;;
            user:*) user=${word#user:} ;;
            few:*) few=${word#few:} ;;
            limit:*) seconds=${word#limit:} ;;
            *) echo "scripts/matrix: $name: $word?" >&2; exit 2 ;;
        esac
    done
    cat scripts/lib/matrix_line.sh - >"$work/line.sh"
    # A line that reads the test programs is another one when they have changed.
    if grep -qF '$sources' "$work/line.sh"; then
        cat test-programs/*.* | sha256sum | sed 's/^/# /' >>"$work/line.sh"
    fi
    wanted "$name" || return 0
    slug=$(echo "$current $name" | tr -cs 'a-zA-Z0-9\n' _)
    case $mode in
        list) printf '%s: %s  %s\n' "$current" "$name" "${settings[*]}"; return ;;
        docs) table_row "$name" "$few"; return ;;
    esac
    if ! installed "${needs[@]}"; then
        skip "$name" "needs the Debian packages ${missing[*]}: scripts/matrix --install"
        return
    fi
    compare_line "$name" "$few" "$seconds" "$user" "${settings[@]}"
}

# installed COMMAND=PACKAGE…: leaves the missing packages in `missing`.
installed() {
    local need
    missing=()
    for need in "$@"; do
        have "${need%%=*}" || [ -e "${need%%=*}" ] || missing+=("${need#*=}")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    [ -n "$install" ] && apt-get -qy install --no-install-recommends "${missing[@]}" >"$work/install" 2>&1
}

# Compares the two runs of $work/line.sh and prints a row; the reason of a failure follows below it.
compare_line() {
    local name=$1 few=$2 seconds=$3 user=$4 native=$kept/$slug/native here=$kept/$slug/here verdict=same settings
    shift 4
    printf '#!/bin/sh\nexec "$@"\n' >"$work/bin/under"
    chmod 755 "$work/bin/under"
    if ! cmp -s "$work/line.sh" "$native/line.sh"; then
        run_line "$native" "$seconds" "$user"
        [ "$(cat "$native/status")" -eq 0 ] && cp "$work/line.sh" "$native/line.sh"
    fi
    settings=$(settle "$@")
    write_under "$settings"
    run_line "$here" $((seconds * 4)) "$user"
    rm -rf "$here/statistics"
    cp -r "$work/statistics" "$here/statistics"
    evictions=0 faults=0 swap_ins=0 processes=0
    judge "$native" "$here" "$few" >"$work/why" || verdict=FAILED
    [ -s "$work/counts" ] && read -r evictions faults _ processes swap_ins <"$work/counts"
    if [ "$verdict" = same ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf "$row" "$name" "$(cat "$native/time")" "$(cat "$here/time")" "$faults" "$swap_ins" "$evictions" "$processes" "$verdict"
    cat "$work/why"
    [ -n "$arena" ] || printf '%s\t' "$verdict" "$settings" "$(cat "$native/time")" "$(cat "$here/time")" \
        "$faults" "$swap_ins" "$evictions" "$processes" >"$kept/$slug/result$(variant)"
}

# Whether the run in HERE is as good as the one in NATIVE; says why not.
judge() {
    local native=$1 here=$2 few=$3 least
    rm -f "$work/counts"
    if [ "$(cat "$native/status")" -ne 0 ]; then
        explain "exit status $(cat "$native/status") natively: the line is wrong" "$native/err"
    elif ! cmp -s "$native/status" "$here/status"; then
        explain "exit status $(cat "$here/status"), natively $(cat "$native/status")" "$here/err" "$native/err"
    elif ! cmp -s "$native/out" "$here/out"; then
        diff -a "$native/out" "$here/out" >"$work/difference"
        explain "another output than natively" "$work/difference" "$here/err"
    elif grep -a '^vmalloc: ' "$here/err" >"$work/said"; then
        explain "the library has something to say" "$work/said"
    elif ! "$python" scripts/lib/statistics.py "$here/statistics" >"$work/counts"; then
        mv "$work/counts" "$work/complaints"
        explain "its statistics are wrong" "$work/complaints"
    else
        read -r evictions _ _ _ swap_ins <"$work/counts"
        [ -n "$few" ] && return 0
        # 4 MB, in pages of any size.
        least=$((1000 * 4096 / $(bytes "${page:-4K}")))
        [ "$evictions" -ge "$least" ] && [ "$swap_ins" -ge "$least" ] && return 0
        explain "$evictions evictions and $swap_ins swap-ins: not the $least that would prove something"
    fi
}

# explain REASON FILE…
explain() {
    echo "      | $1"
    local file
    shift
    for file in "$@"; do
        head -n 12 "$file" | cut -c 1-300 | sed 's/^/      | /'
    done
    return 1
}

finish_matrix() {
    case $mode in
        run) finish ;;
        docs) write_docs ;;
    esac
}

# Side by side with tools, limits and sandboxes: works, or says in one line why not.

group tools
p=$programs
small=(VMALLOC_ARENA=1M VMALLOC_SWAP=8M)

# says NAME STATUS TEXT COMMAND…: exit status, and a line on stderr that contains TEXT, and nothing else there.
says() {
    local name=$1 expected=$2 text=$3 status
    shift 3
    wanted "$name" || return 0
    run "$work/out" "$work/err" 120 "$@"
    status=$?
    if [ "$status" -ne "$expected" ]; then
        not_ok "$name" "exit status $status, not $expected" "$work/err"
    elif [ "$(wc -l <"$work/err")" -ne 1 ] || ! grep -qF "$text" "$work/err"; then
        not_ok "$name" "stderr is not one line with: $text" "$work/err"
    else
        ok "$name" "$(cut -c 1-110 "$work/err")"
    fi
}

# Without Syscall User Dispatch the direct calls are guarded all the same.
says "no dispatch" 0 "no Syscall User Dispatch here" \
    "$p/deny" dispatch EINVAL env LD_PRELOAD="$library" "${small[@]}" "$p/calls_direct" 2M 20

# A sandbox that refuses one of our own calls: the program works as natively, with a line on stderr at
# most. What it does not survive natively is not asked; dispatch has its own test above.
survives() {
    local error=$1 call expected status
    "$programs/everything" 3 600 4M >"$work/expected" || return 1
    for call in $("$programs/deny" list | grep -v dispatch); do
        timeout -k 5 20 "$programs/deny" "$call" "$error" "$programs/everything" 3 600 4M >/dev/null 2>&1 || continue
        timeout -k 5 30 "$programs/deny" "$call" "$error" env LD_PRELOAD="$library" VMALLOC_ARENA=1M VMALLOC_SWAP=8M \
            "$programs/everything" 3 600 4M >"$work/refused.out" 2>"$work/refused.err"
        status=$?
        echo "$call refused: status $status; $(cat "$work/refused.err")"
        if [ "$(wc -l <"$work/refused.err")" -gt 1 ]; then
            return 1
        elif [ "$status" -ne 0 ] || ! cmp -s "$work/expected" "$work/refused.out"; then
            return 1
        fi
    done
}
export -f survives
export work
check "a sandbox that refuses a call (EPERM)" bash -c 'survives EPERM'
[ "$mode" = quick ] || check "a sandbox that refuses a call (ENOSYS)" bash -c 'survives ENOSYS'
# Arguments that the guard looks into by itself then; wrong addresses are errors all the same.
refuses_looks() { "$programs/deny" process_vm_readv EPERM env LD_PRELOAD="$library" "${@:2}" "$programs/$1" 2M; }
export -f refuses_looks
for program in calls_direct calls_rare; do
    check "a sandbox that refuses process_vm_readv: $program" \
        bash -c 'refuses_looks "$@"' - "$program" "${small[@]}"
done

# Tools that keep malloc for themselves.
if wanted "AddressSanitizer" && echo 'int main(void) { return 3; }' >"$work/three.c" &&
    cc -fsanitize=address -o "$work/three" "$work/three.c" 2>/dev/null; then
    says "AddressSanitizer" 3 "AddressSanitizer keeps malloc" \
        env LD_PRELOAD="$(cc -print-file-name=libasan.so) $library" "$work/three"
else
    skip "AddressSanitizer" "the compiler has none"
fi
# Sanitizers behind the library in the search order: they are asked for memory before they have begun.
for sanitizer in address:AddressSanitizer thread:ThreadSanitizer leak:LeakSanitizer; do
    name="${sanitizer#*:}, begun later"
    wanted "$name" || continue
    if echo 'int main(void) { return 3; }' | cc -x c -fsanitize=${sanitizer%:*} -o "$work/three-${sanitizer%:*}" - 2>/dev/null; then
        says "$name" 3 "${sanitizer#*:} keeps malloc" env ASAN_OPTIONS=verify_asan_link_order=0 \
            LD_PRELOAD="$library" "$work/three-${sanitizer%:*}"
    else
        skip "$name" "the compiler has none"
    fi
done
if have valgrind; then
    says "valgrind" 0 "valgrind keeps malloc" env LD_PRELOAD="$library" valgrind -q --tool=none "$p/owners" 1 64K 1
    says "memcheck" 0 "valgrind keeps malloc" env LD_PRELOAD="$library" valgrind -q "$p/owners" 1 64K 1
else
    skip "valgrind" "not installed"
fi

# Limits of the shell.
same -p "file size, soft limit" "${small[@]}" -- bash -c 'ulimit -S -f 100; exec "$@"' - "$p/owners" 4 4M 1
says "file size, hard limit" 78 "ulimit -f" bash -c 'ulimit -f 100; exec env "$@"' - LD_PRELOAD="$library" true
# The program has a line of its own to say when it gets NULL.
# shellcheck disable=SC2016
says "address space" 1 "ulimit -v" \
    bash -c 'ulimit -v 20000; env "$@" 2>&1 >/dev/null | sed -n 1p >&2; exit "${PIPESTATUS[0]}"' - \
    LD_PRELOAD="$library" "$p/vector_multiply" 1000

# A program that lowers a limit later keeps what it has been promised, and forks. Where no descriptor is left a child's copy of the heap is
# memory without a name.
# There are no statistics: nobody may write them. More is in use than the arena holds.
limits() {
    local expected=$1 settings=$2 status
    shift 2
    # Through a pipe: it may write no file.
    # shellcheck disable=SC2086
    timeout -k 5 60 env LD_PRELOAD="$library" $settings "$p/limits" "$@" 2>"$work/err" </dev/null | cat >"$work/out"
    status=${PIPESTATUS[0]}
    [ "$status" -eq 0 ] && [ "$(cat "$work/out")" = "$expected" ] && ! [ -s "$work/err" ] && return
    not_ok "limit $1 $2 $3, $settings" "exit status $status, another output, or something on stderr" "$work/out" "$work/err"
    return 1
}
for limit_and_value in fsize:0 fsize:100000 as:1000000000 data:0 nofile:0 nofile:5 nofile:60 memlock:0 stack:0; do
    wanted "limit $limit_and_value" || continue
    for kind in hard soft; do
        at="${limit_and_value%:*} $kind ${limit_and_value#*:}"
        # shellcheck disable=SC2086
        native=$("$p/limits" $at) && limits "$native" VMALLOC_POLICY=clock $at 12582912 && limits "$native" VMALLOC_POLICY=fifo $at 12582912 &&
            limits "$native" "VMALLOC_ARENA=1M VMALLOC_SWAP=8M VMALLOC_POLICY=clock" $at 3000000 &&
            limits "$native" "VMALLOC_ARENA=1M VMALLOC_SWAP=8M VMALLOC_POLICY=fifo" $at 3000000 && ok "limit $limit_and_value, $kind"
    done
done


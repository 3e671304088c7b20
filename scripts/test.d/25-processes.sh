# Processes where something is missing: room for a fork's copy, the barrier that closes gates; what a
# program that executes another, or dies, leaves of its statistics; and what nobody leaves behind.

group processes

# A file system with room for one swap file, and not for what a child's needs.
mkdir -p "$work/narrow"
if unshare -m mount -t tmpfs none "$work/narrow" 2>/dev/null; then
    check "a fork without room fails and breaks nothing" unshare -m sh -c "mount -t tmpfs -o size=9M none '$work/narrow' &&
        exec env LD_PRELOAD='$library' VMALLOC_ARENA=1M VMALLOC_SWAP=8M VMALLOC_SWAP_DIR='$work/narrow' TEST_EXPECT_NULL=1 '$programs/many_forks'"
else
    skip "a fork without room fails and breaks nothing" "mount namespaces need root"
fi

# membarrier refused, as by a sandbox: gates are closed with fences then.
without_barrier() {
    "$programs/deny" membarrier EPERM env LD_PRELOAD="$library" VMALLOC_ARENA=1M VMALLOC_SWAP=8M "$programs/$1" "${@:2}"
}
export -f without_barrier
export work
check "without membarrier: producer and consumer" bash -c 'without_barrier producer_consumer 2 2 1500 2M'
check "without membarrier: everything at once" bash -c 'without_barrier everything 4 2000 3M'

# A program in a sandbox that allows no new files: its children's copies lie in memory, and what it executes runs
# without the library. Each says so.
in_a_sandbox() {
    "$programs/sandboxed" 2M 1M >"$work/native" 2>&1 || return
    env LD_PRELOAD="$library" VMALLOC_ARENA=1M VMALLOC_SWAP=8M "$programs/sandboxed" 2M 1M >"$work/here" 2>"$work/said" || return
    cat "$work/said"
    cmp "$work/native" "$work/here" && [ "$(sort -u "$work/said" | wc -l)" -eq 2 ] &&
        grep -q "a sandbox forbids" "$work/said" && grep -q "a child's swap is memory" "$work/said"
}
export -f in_a_sandbox
check "in a sandbox without new files" bash -c in_a_sandbox

# The last statistics of a program that executes another, without the library, or dies of a signal.
leaves_statistics() {
    rm -rf "$work/left"
    mkdir "$work/left"
    env LD_PRELOAD="$library" VMALLOC_STATS="$work/left/%p" "$@"
    grep -q '"program":"last_words"' "$work/left"/*
}
export -f leaves_statistics
check "statistics of a program that executes another" bash -c 'leaves_statistics "$programs/last_words" exec'
check "statistics of a program that dies of a wrong access" bash -c 'leaves_statistics "$programs/last_words" crash'
check "statistics of a program that is terminated" bash -c 'leaves_statistics "$programs/last_words" terminate'

# A signal that kills while they are being written: here until somebody reads them. The other thread
# blocks nothing, and would take the signal.
leaves_whole_statistics() {
    rm -f "$work/pipe"
    mkfifo "$work/pipe"
    env LD_PRELOAD="$library" VMALLOC_STATS="$work/pipe" "$python" -c '
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()' &
    local process=$! end=$((SECONDS + 60))
    until grep -qE 'fifo_open|wait_for_partner' "/proc/$process/wchan"; do
        [ $SECONDS -lt $end ] || { echo "it does not write"; return 1; }
        sleep 0.05
    done
    kill -TERM "$process"
    timeout 60 cat "$work/pipe" >"$work/whole"
    wait "$process"
    "$python" -m json.tool "$work/whole"
}
export -f leaves_whole_statistics
check "statistics of a program that is terminated at its end" bash -c leaves_whole_statistics

# However a process ends, nothing of it stays in any directory.
nothing_stays() {
    mkdir -p "$work/empty"
    local how
    for how in exit _exit quick_exit abort kill terminate crash exec; do
        env LD_PRELOAD="$library" VMALLOC_ARENA=1M VMALLOC_SWAP_DIR="$work/empty" "$programs/last_words" "$how"
        echo "$how: status $?"
        [ -z "$(ls -A "$work/empty")" ] || { echo "$how left $(ls -A "$work/empty")"; return 1; }
    done >"$work/ends" 2>/dev/null
    for how in exit _exit quick_exit abort kill terminate crash exec; do
        "$programs/last_words" "$how"
        echo "$how: status $?"
    done >"$work/native.ends" 2>/dev/null
    diff "$work/native.ends" "$work/ends"
}
export -f nothing_stays
check "nothing stays however a process ends" bash -c nothing_stays

# A core shows what it would natively: the signal, the address, the function, memory, and the other threads.
dies_of() {
    rm -f "$work/pid"
    env "${@:2}" bash -c 'echo $$ >"$0"; exec "$@"' "$work/pid" "$programs/crash" "$1" 3M 2>/dev/null
    echo "status $?"
    local core=${pattern//%p/$(cat "$work/pid")}
    gdb -batch -ex 'print $_siginfo.si_signo' -ex 'print (long)$_siginfo._sifields._sigfault.si_addr - (long)guilty' \
        -ex 'print *fresh' "$programs/crash" "$core" 2>/dev/null |
        sed -n '/^\$/{/= [0-9]\{12,\}$/d;p};s/^#0 .*\(culprit\|overflow\) (.*/\1/p'
    gdb -batch -ex 'thread apply all bt' "$programs/crash" "$core" 2>/dev/null | grep -c ' busy ('
    rm -f "$core"
}
cores_are_alike() {
    ulimit -c unlimited
    local how
    for how in null closed overflow thread; do
        dies_of "$how" >"$work/native.core" 2>/dev/null
        dies_of "$how" LD_PRELOAD="$library" VMALLOC_ARENA=512K VMALLOC_SWAP=64M >"$work/core" 2>/dev/null
        echo "$how:" && cat "$work/core" && diff "$work/native.core" "$work/core" || return 1
        [ "$(grep -cE '^(status 139|.1 = 11|.*= 4712|4|culprit|overflow)$' "$work/core")" -eq 5 ] || return 1
    done
}
export -f dies_of cores_are_alike
pattern=$(cat /proc/sys/kernel/core_pattern)
[ "$pattern" = core ] && [ "$(cat /proc/sys/kernel/core_uses_pid)" = 1 ] && pattern=core.%p
[[ $pattern == /* ]] || pattern=$PWD/$pattern
export pattern
if ! have gdb || [[ $pattern == *\|* ]] || [[ ${pattern//%p/} == *%* ]] || ! (ulimit -c unlimited) 2>/dev/null; then
    skip "a core as natively" "needs gdb, cores in plain files, and the right to write them"
else
    check "a core as natively" bash -c cores_are_alike
fi

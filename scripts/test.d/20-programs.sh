# The programs of test-programs/, natively and under the library: first with the default settings
# (8 MiB arena, 16 MiB swap), then with arenas so small that they page all the time.

p=$programs

group default
same    -k 332833500   "vector multiply, 1000"      -- "$p/vector_multiply" 1000
same    -k 2121018208  "row sums, 1000 x 1000"      -- "$p/row_sums" 1000 1000
same -p -k 821375360   "row sums, 1000 x 4000"      -- "$p/row_sums" 1000 4000
same -p -k -2061165088 "row sums, 50 x 100000"      -- "$p/row_sums" 50 100000
same                   "malloc edges"               -- "$p/malloc_edges"
same -p                "system calls on files"      -- "$p/calls_io"
same -p                "system calls of processes"  -- "$p/calls_process"
same -p                "streams"                    -- "$p/streams"
same -p                "system calls that wait"     -- "$p/calls_sync"
same -p                "calls about mappings"       -- "$p/calls_mappings"
same -n                "calls about mappings, nothing paged" VMALLOC_ARENA=64M -- "$p/calls_mappings" 0
same -p                "signals"                    -- "$p/signals"
same -p                "fork"                       -- "$p/fork_snapshot"
same                   "fork while threads start"   -- "$p/fork_starting"
same -p                "fork in a signal handler"   VMALLOC_ARENA=2M VMALLOC_SWAP=64M -- "$p/fork_in_handler"
same                   "fork in a signal handler, nothing paged" VMALLOC_ARENA=64M -- "$p/fork_in_handler"
mkdir -p "$work/swap"
same -p                "the swap directory moved away" VMALLOC_SWAP_DIR="$work/swap" VMALLOC_ARENA=2M -- "$p/moved_away" "$work/swap"
same -p                "signal calls"               -- "$p/signal_calls"
same -p                "signals by calls of one's own" -- "$p/own_calls"
same -n                "signals by calls of one's own, nothing paged" VMALLOC_ARENA=64M -- "$p/own_calls"
same -n                "what the kernel says, nothing paged" VMALLOC_ARENA=64M -- "$p/asks_kernel"
same -p                "what the kernel says"       VMALLOC_ARENA=1M VMALLOC_SWAP=64M -- "$p/asks_kernel"
same -p                "what the kernel says, fifo" VMALLOC_ARENA=1M VMALLOC_SWAP=64M VMALLOC_POLICY=fifo -- "$p/asks_kernel"
same -p                "stacks of signals"          -- "$p/signal_stacks"
same -p                "stacks of signals, large ones asked for" -- "$p/strict_stacks" 20480 "$p/signal_stacks"
same -p                "children of every make"     -- "$p/children"
same -p                "life of threads"            -- "$p/thread_life"
same -p                "threads of other makers"    VMALLOC_ARENA=2M VMALLOC_SWAP=24M -- "$p/thread_makers" 3M 1M
same -p                "C++ exceptions"             -- "$p/exceptions"
same -p                "programs that are executed" VMALLOC_ARENA=2M -- "$p/executes" 3M
same -p                "libraries"                  -- "$p/libraries"
same -n                "a malloc of the program's own" -- "$p/own_malloc"
same -p                "everything at once"         VMALLOC_ARENA=2M VMALLOC_HEAP=64M -- "$p/everything"
same                   "no leftovers of threads"    TEST_EXPECT_ZERO=1 -- "$p/leftovers"
same -p                "shared region"              TEST_EXPECT_NULL=1 -- "$p/shared_region"
same -p                "shadow model, 8 threads"    -- "$p/shadow_model" 8 20000 3
if [ "$mode" != quick ]; then
    same -p                "calls about descriptors"    -- "$p/calls_descriptors"
    same -p                "calls about descriptors, few" VMALLOC_TRACE=/dev/null -- bash -c 'ulimit -n 40; exec "$@"' - "$p/calls_descriptors"
    same -p                "direct calls"               -- "$p/calls_direct" 12M 20
    same -p                "calls at the moment of arming" -- "$p/calls_arming" 12M 5
    same -p                "calls that point further"   -- "$p/calls_rare"
    same -p               "several owners"             -- "$p/owners"
    same -p               "vector multiply, 2,000,000" -- "$p/vector_multiply" 2000000
    same -p -k 69054848   "row sums, 40 x 100000"      -- "$p/row_sums" 40 100000
    same -p               "external sum"               -- "$p/external_sum"
    same -p               "fill until NULL"            TEST_EXPECT_NULL=1 -- "$p/fill_until_null"
    same -p               "producer and consumer"      -- "$p/producer_consumer"
    same -p               "large blocks"               -- "$p/large_blocks"
    same -p               "shadow model, 1 thread"     -- "$p/shadow_model" 1 60000 1
    same -p               "shadow model, 2 threads"    -- "$p/shadow_model" 2 40000 2
    same -p               "10,000 threads, 500 at once" -- "$p/many_threads"
    same -p               "stacks of threads"          -- "$p/stacks" 12M threads
    same -p               "stacks of coroutines"       -- "$p/stacks" 12M coroutines
    same -p               "stack of signal handlers"   -- "$p/stacks" 12M altstack
    for how in exit return thread pthread_exit quick_exit _exit abort jump unwind; do
        same -p           "the end by $how"            -- "$p/endings" "$how"
    done
    same -p               "C++ collections"            -- "$p/collections"
    same -p               "Rust collections"           -- "$p/rust_collections"
fi

# 1 MiB of memory and 8 MiB of swap: what was sized by the arena is sized down with it.
group small
[ "$mode" = quick ] && policies_here=(clock) || policies_here=("${policies[@]}")
for policy in "${policies_here[@]}"; do
    small=(VMALLOC_ARENA=1M VMALLOC_SWAP=8M VMALLOC_POLICY=$policy)
    same -p "several owners, $policy"        "${small[@]}" -- "$p/owners" 4 4M 1
    same -p "producer and consumer, $policy" "${small[@]}" -- "$p/producer_consumer" 2 2 1500 2M
    same -p "large blocks, $policy"          "${small[@]}" -- "$p/large_blocks" 4M
    same -p "shadow model, $policy"          "${small[@]}" -- "$p/shadow_model" 2 15000 5 5M
    same -p "C++ collections, $policy"       "${small[@]}" -- "$p/collections" 6000 2
done
small=(VMALLOC_ARENA=1M VMALLOC_SWAP=8M)
same -p "streams"                   "${small[@]}" -- "$p/streams" 2M
same -p "system calls on files"     "${small[@]}" -- "$p/calls_io" 2M
same -p "fork"                      "${small[@]}" -- "$p/fork_snapshot" 1M 2M
if [ "$mode" != quick ]; then
    same -p "row sums, 500 x 1000"      "${small[@]}" -- "$p/row_sums" 500 1000
    same -p "external sum"              "${small[@]}" -- "$p/external_sum" 8 2000 4 2M
    same -p "fill until NULL"           "${small[@]}" TEST_EXPECT_NULL=1 -- "$p/fill_until_null" 16K 32M
    same -p "malloc edges"              "${small[@]}" VMALLOC_HEAP=64M -- "$p/malloc_edges"
    same -p "threads"                   "${small[@]}" -- "$p/many_threads" 500 20 128K
    same -p "signals"                   "${small[@]}" -- "$p/signals" 2M 1M
    same -p "signal calls"              "${small[@]}" -- "$p/signal_calls" 2M 1M
    same -p "deaths by signals"         "${small[@]}" -- "$p/deaths" 2M
    same -p "stacks of signals"         "${small[@]}" -- "$p/signal_stacks" 2M 1M
    same -p "children of every make"    "${small[@]}" VMALLOC_SWAP=24M -- "$p/children" 2M 1M
    same -p "life of threads"           "${small[@]}" VMALLOC_SWAP=24M -- "$p/thread_life" 4M 1M
    same -p "detached threads"          "${small[@]}" VMALLOC_SWAP=24M -- "$p/detached" 6 1M
    same -p "threads of other makers"   "${small[@]}" VMALLOC_SWAP=24M -- "$p/thread_makers" 4M 1M
    same -p "many forks"                "${small[@]}" -- "$p/many_forks" 1000
    same -p "disk in use"               VMALLOC_ARENA=1M VMALLOC_SWAP=1G -- "$p/disk_use" 12M
    same -p "stacks"                    "${small[@]}" -- "$p/stacks" 2M threads coroutines
    # A stack that lost the page that its thread stood on was a matter of one run in ninety.
    # shellcheck disable=SC2016
    same -p "stacks, forty times"       VMALLOC_ARENA=1M VMALLOC_SWAP=16M VMALLOC_POLICY=fifo -- \
        bash -c 'for run in {1..40}; do "$1" 2M threads coroutines altstack || exit; done' - "$p/stacks"
    for how in exit thread pthread_exit quick_exit abort; do
        same -p "the end by $how"       "${small[@]}" -- "$p/endings" "$how" 2097152
    done
    # Libraries that run before and after this one, and a program that is bound at once.
    same -p "libraries"                 "${small[@]}" -- "$p/libraries" 2M 500
    same -p "libraries, bound at once"  "${small[@]}" LD_BIND_NOW=1 -- "$p/libraries" 2M 200
    for plugin in plugin.so plugin-now.so; do
        same -p "$plugin preloaded after"  "${small[@]}" LD_PRELOAD="$library $p/lib/$plugin" -- "$p/libraries" 2M 100
        same -p "$plugin preloaded before" "${small[@]}" LD_PRELOAD="$p/lib/$plugin $library" -- "$p/libraries" 2M 100
    done
    same -p "shared region"             "${small[@]}" TEST_EXPECT_NULL=1 -- "$p/shared_region" 2M
    same -p "system calls of processes" "${small[@]}" -- "$p/calls_process" 2M
    same -p "system calls that wait"    "${small[@]}" -- "$p/calls_sync" 2M
    same -p "calls about descriptors"   "${small[@]}" -- "$p/calls_descriptors" 2M
    same -p "direct calls"              "${small[@]}" -- "$p/calls_direct" 2M
    same -p "calls at the moment of arming" "${small[@]}" -- "$p/calls_arming" 2M
    same -p "calls that point further"  "${small[@]}" -- "$p/calls_rare" 2M
    same -p "calls about mappings"      "${small[@]}" -- "$p/calls_mappings" 2M
    same -p "Rust collections"          "${small[@]}" -- "$p/rust_collections" 6000 2
fi

# A quarter of a MiB: a few dozen frames.
group tiny
if [ "$mode" != quick ]; then
    for policy in "${policies[@]}"; do
        tiny=(VMALLOC_ARENA=256K VMALLOC_SWAP=2M VMALLOC_POLICY=$policy)
        same -p "several owners, $policy" "${tiny[@]}" -- "$p/owners" 2 1M 1
        same -p "shadow model, $policy"   "${tiny[@]}" -- "$p/shadow_model" 2 6000 9 1M
        same -p "large blocks, $policy"   "${tiny[@]}" -- "$p/large_blocks" 1M
    done
fi

# The other settings: a larger page, no swap, a region of one arena, a shared region of one page,
# another place for the swap file, a trace.
group settings
mkdir -p "$work/swap"
same -p "page of 16K"         VMALLOC_PAGE=16K -- "$p/shadow_model" 2 15000 3 12M
same    "no swap"             VMALLOC_SWAP=0 -- "$p/owners" 2 4M 1
same    "no swap, until NULL" VMALLOC_SWAP=0 VMALLOC_ARENA=4M TEST_EXPECT_NULL=1 -- "$p/fill_until_null" 16K 32M
same -p "heap of the arena's size" VMALLOC_HEAP=arena -- "$p/owners" 4 16M 1
same -n "ample arena"         VMALLOC_ARENA=64M -- "$p/owners" 4 16M 1
same -p "swap directory"      VMALLOC_SWAP_DIR="$work/swap" -- "$p/owners" 2 12M 1
same -p "trace"               VMALLOC_TRACE="$work/trace.%p" -- "$p/owners" 2 12M 1
if wanted "trace"; then
    traces=("$work"/trace.*)
    [ -s "${traces[0]}" ] && ok "trace was written" "$(stat -c %s "${traces[0]}") bytes" || not_ok "trace was written" "no file"
fi
if wanted "swap directory"; then
    [ -z "$(ls -A "$work/swap")" ] && ok "swap file has no name" || not_ok "swap file has no name" "$(ls "$work/swap")"
fi
for policy in clock fifo; do
    same "phase A: a page for each thread, $policy" VMALLOC_HEAP=4K VMALLOC_SWAP=0 VMALLOC_POLICY=$policy -- "$p/phase_a" 32
done
check "vmalloc.h wherever it is included" scripts/lib/try_header.sh "$work"
for policy in clock fifo; do
    same "idle threads, $policy" VMALLOC_SWAP=0 TEST_EXPECT_NULL=1 VMALLOC_POLICY=$policy -- "$p/idle_threads" 60 7400000
    same -p "idle threads, $policy, with swap" VMALLOC_ARENA=2M VMALLOC_SWAP=8M TEST_EXPECT_NULL=1 VMALLOC_POLICY=$policy -- "$p/idle_threads" 60 9000000
done
# The table on stderr comes at exit, and leaves standard output alone.
if wanted "table on stderr"; then
    run "$work/out" "$work/err" 60 env LD_PRELOAD="$library" VMALLOC_STATS=- "$p/vector_multiply" 1000
    if [ "$(cat "$work/out")" = 332833500 ] && [ -s "$work/err" ]; then
        ok "table on stderr"
    else
        not_ok "table on stderr" "stdout changed or no table" "$work/out" "$work/err"
    fi
fi

# Several allocators in one process: the C library's own names for its malloc, and other allocators that the program is linked
# with, or that are preloaded before and behind the library.

group allocators
p=$programs
for policy in clock fifo; do
    small=(VMALLOC_ARENA=1M VMALLOC_SWAP=24M VMALLOC_POLICY=$policy)
    same -p "the C library's names, $policy" VMALLOC_ARENA=512K VMALLOC_SWAP=24M VMALLOC_POLICY=$policy -- "$p/libc_names" 600000
    same -p "new and delete, $policy"        "${small[@]}" -- "$p/allocators" 2000000
done
same -n "the C library's names" VMALLOC_ARENA=64M -- "$p/libc_names"
same -n "new and delete"        VMALLOC_ARENA=64M -- "$p/allocators"

for other in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
    name=${other%%.*}
    if ! "${CXX:-c++}" -std=c++17 -O1 -w -pthread -o "$work/with-$name" test-programs/allocators.cpp \
        -Wl,--no-as-needed "-l:$other" 2>/dev/null; then
        skip "$name" "not installed"
        continue
    fi
    for policy in clock fifo; do
        settings=(VMALLOC_POLICY=$policy)
        same    "$name linked in, $policy"         "${settings[@]}" -- "$work/with-$name"
        same -p "$name linked in, $policy, paging" "${settings[@]}" VMALLOC_ARENA=1M VMALLOC_SWAP=24M -- "$work/with-$name" 2000000
        same    "$name behind, $policy"            "${settings[@]}" LD_PRELOAD="$library $other" -- "$p/allocators"
        same -p "$name behind, $policy, paging"    "${settings[@]}" VMALLOC_ARENA=1M VMALLOC_SWAP=24M LD_PRELOAD="$library $other" -- \
            "$p/allocators" 2000000
        same    "$name before, $policy"            "${settings[@]}" LD_PRELOAD="$other $library" -- "$p/allocators" 2000000
    done
done

# The region is larger than what can be promised: in a minute of random sizes the holes between blocks
# would else leave no room for a block of a megabyte, which is a reason for NULL, but not what is asked.
# The shadow model by time, with 1, 2 and 8 threads under each policy: a minute each when soaking,
# else two seconds each.

group soak
seconds=2
[ "$mode" = soak ] && seconds=60
if [ "$mode" != quick ]; then
    for policy in "${policies[@]}"; do
        for threads in 1 2 8; do
            same -p -a -k "shadow_model ok" -t $((seconds + 60)) "shadow model, $threads threads, $policy" \
                VMALLOC_ARENA=2M VMALLOC_SWAP=16M VMALLOC_HEAP=64M "VMALLOC_POLICY=$policy" \
                -- "$programs/shadow_model" "$threads" "${seconds}s" $((threads + seconds)) 10M
        done
    done
fi

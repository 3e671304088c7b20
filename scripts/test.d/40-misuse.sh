# A wrong free is reported with its address, and aborts.

group misuse
for mode_of_misuse in double double-large double-paged-out middle middle-large unaligned stack static foreign \
    realloc-foreign realloc-freed other-thread mydeallocate; do
    wanted "$mode_of_misuse" || continue
    run "$work/out" "$work/err" 30 env LD_PRELOAD="$library" "$programs/misuse" "$mode_of_misuse"
    status=$?
    address=$(head -n 1 "$work/out")
    if [ "$status" -ne 134 ]; then
        not_ok "$mode_of_misuse" "exit status $status, not 134 (SIGABRT)" "$work/out" "$work/err"
    elif [ "$(wc -l <"$work/out")" -ne 1 ]; then
        not_ok "$mode_of_misuse" "not only the address on standard output" "$work/out"
    elif ! grep -qF "${address:-no address}" "$work/err"; then
        not_ok "$mode_of_misuse" "the report does not have the address $address" "$work/err"
    elif [ "$mode_of_misuse" = mydeallocate ] && ! grep -q 'some_file.c.*4711' "$work/err"; then
        not_ok "$mode_of_misuse" "the report does not have file and line" "$work/err"
    else
        ok "$mode_of_misuse" "$(head -n 1 "$work/err" | cut -c 1-110)"
    fi
done

# The real programs that do not take long; scripts/real-programs runs them all.

group "real programs"
if [ "$mode" = full ]; then
    for name in sort gawk python3 perl sqlite3 "xz -1" bc stress-ng make; do
        check "$name" scripts/real-programs "$name"
    done
fi

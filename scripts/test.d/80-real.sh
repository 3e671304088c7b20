# The lines of the matrix that do not take long; scripts/matrix runs them all.

group "real programs"
if [ "$mode" = full ]; then
    for name in "text: gawk" "languages: perl" "dicts and strings" "sqlite3, in memory" "archives: xz -1" "text: bc" "stress-ng --malloc" "make -j2"; do
        check "$name" scripts/matrix --library "$library" "$name"
    done
fi

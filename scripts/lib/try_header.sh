#!/bin/bash
# Whether vmalloc.h compiles in every edition of C and C++, before and after the headers that declare malloc, once and twice, with
# VMALLOC_MACROS from the start or later; and whether its macros then hold.
#
#   scripts/lib/try_header.sh DIRECTORY      for what it writes
set -eu
cd "$(dirname "$0")/../.."
into=$1 failed=0

# one NAME COMPILER… < SOURCE
one() {
    local name=$1
    shift
    cat >"$into/header.source"
    "$@" -Wall -Wextra -Werror -Iinterpose/include -c "$into/header.source" -o "$into/header.o" 2>"$into/header.err" &&
        nm -u "$into/header.o" | grep -qw myallocate && nm -u "$into/header.o" | grep -qw mydeallocate && return
    echo "$name: $(grep -m 1 error "$into/header.err" || echo 'the macros do not hold')"
    failed=1
}

use='int main(void) { char *p = (char *)malloc(10); if (p != 0) *p = 1; free(p); return 0; }'
for edition in c89 c99 c2x c++98 c++17 c++20; do
    case $edition in
        c++*) compiler=("${CXX:-c++}" -x c++) others=(cstdlib string) ;;
        *) compiler=("${CC:-cc}" -x c) others=(stdlib.h malloc.h) ;;
    esac
    "${compiler[@]}" -std=$edition -fsyntax-only /dev/null 2>/dev/null || continue
    for other in "${others[@]}"; do
        for order in "V $other" "$other V" "v $other V V" "v V $other"; do
            for header in $order; do
                case $header in
                    v) echo '#include <vmalloc.h>' ;;
                    V) printf '#ifndef VMALLOC_MACROS\n#define VMALLOC_MACROS\n#endif\n#include <vmalloc.h>\n' ;;
                    *) echo "#include <$header>" ;;
                esac
            done | cat - <(echo "$use") | one "$edition: $order" "${compiler[@]}" -std=$edition -pedantic
        done
    done
done
exit $failed

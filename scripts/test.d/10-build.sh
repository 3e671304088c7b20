# The library and the programs are built; without them nothing can be tested. Then the house rules.

group build
must_build() {
    local name=$1
    shift
    if ! "$@" >"$work/build.log" 2>&1; then
        tail -n 30 "$work/build.log"
        not_ok "$name" "cannot be built: $*"
        finish
        exit 1
    fi
    ok "$name"
}

if [ -z "${LIBVMALLOC:-}" ]; then
    must_build "library" cargo build --release -p vmalloc-exports
    must_build "command and libvmpager" cargo build --release
fi
must_build "test programs" make -C test-programs -j2
[ -e "$library" ] || { not_ok "library" "$library does not exist"; finish; exit 1; }

if [ "$mode" = full ] && [ -z "${LIBVMALLOC:-}" ]; then
    check "format" cargo fmt --all --check
    check "clippy" cargo clippy --all-targets -- -D warnings
    check "clippy without the standard library" cargo clippy -p vmalloc-exports -p proof -- -D warnings
    check "model and unit tests" cargo test
    check "modules use only those above them" cargo run --quiet -p checks
fi

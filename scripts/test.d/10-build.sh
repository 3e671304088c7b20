# The library and the programs are built; without them nothing can be tested.

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

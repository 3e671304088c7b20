# What the linker can tell: no panic below the fault handler, and which names the library knows.

group proof
if [ "$mode" = full ] && [ -z "${LIBVMALLOC:-}" ]; then
    check "no panic below the fault handler" cargo build -p proof --release
    # What the linked proof still calls is all that the fault path asks of the C library: memory, and for
    # libvmpager's doors, which share SIGSEGV with the program, calls that POSIX allows in any handler.
    fault_path_imports() {
        local program=${CARGO_TARGET_DIR:-$PWD/target}/release/proof
        ! nm -D --undefined-only "$program" | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' |
            grep -vxE 'mem(cpy|move|set|cmp)|bcmp|strlen|__libc_start_main|sigaction|sigaltstack|pthread_sigmask|sig(add|empty|fill)set|raise|__errno_location'
    }
    export -f fault_path_imports
    check "no other functions below the fault handler" bash -c fault_path_imports
fi

# Every exported name could capture a symbol of the program, every imported one could allocate.
check "exported and imported names" env LIBVMALLOC="$library" scripts/update-exports --check

# Symbols are bound at the start, thread-local words are at fixed offsets: a handler never enters the
# dynamic loader.
bound_early() {
    readelf -dW "$library" | grep -q BIND_NOW || { echo "no BIND_NOW"; return 1; }
    ! readelf -rW "$library" | grep -E '__tls_get_addr|R_X86_64_(DTP|TLSDESC|IRELATIV)'
}
export -f bound_early
check "nothing is bound lazily" bash -c bound_early

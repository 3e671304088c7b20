# What cargo tells: form, lints, unit tests and models, the order of the modules.

group rust
if [ "$mode" = full ] && [ -z "${LIBVMALLOC:-}" ]; then
    check "format" cargo fmt --all --check
    check "clippy" cargo clippy --all-targets -- -D warnings
    check "clippy without the standard library" cargo clippy -p vmalloc-exports -p proof -- -D warnings
    check "model and unit tests" cargo test
    check "modules use only those above them" cargo run --quiet -p checks
fi

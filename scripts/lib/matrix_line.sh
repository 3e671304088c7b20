# Begins every line of the matrix. $matrix has the inputs; the line runs in an empty directory.
set -u -o pipefail
export LC_ALL=C TZ=UTC PYTHONHASHSEED=0 PYTHONMALLOC=malloc PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0
# The line has a home of its own; these are found through the real one.
export RUSTUP_HOME=${RUSTUP_HOME:-$user_home/.rustup} CARGO_HOME=${CARGO_HOME:-$user_home/.cargo}
unset CARGO_TARGET_DIR
text=$matrix/text real=$matrix/real sources=$matrix/sources
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT

# until_works COMMAND…: tries it for 60 seconds, until it succeeds.
until_works() {
    local end=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "not ready: $*"; return 1; }
        sleep 0.1
    done
}

# END OF THE BEGINNING

#!/bin/sh
# The compiler as cargo calls it for the crates of this workspace, which may also print full paths in its MIR.
RUSTC_BOOTSTRAP=1 exec "$@"

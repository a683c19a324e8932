#!/usr/bin/env bash
# Builds the optimized program for every Linux on x86-64 with glibc 2.28 (of 2018) or newer, and prints
# where it is. Zig links it: its linker knows the symbols of each glibc, and that of this machine only
# knows its own.
set -euo pipefail
cd "$(dirname "$0")/.."
glibc=2.28
target=x86_64-unknown-linux-gnu
[ "$(uname -sm)" = 'Linux x86_64' ] || { echo "dist: packages are made on Linux on x86-64" >&2; exit 1; }

venv=$PWD/.tools/packaging
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --require-hashes --requirement packaging/requirements.txt

# No path of this machine is in the program, so that two machines build the same.
cargo=${CARGO_HOME:-$HOME/.cargo}
export RUSTFLAGS="--remap-path-prefix=$cargo=/cargo --remap-path-prefix=$PWD=/fanfold"
export CARGO_INCREMENTAL=0 PATH="$venv/bin:$PATH"
cargo zigbuild --release --locked --features fanfold/jemalloc --package fanfold --target "$target.$glibc" >&2
built=${CARGO_TARGET_DIR:-target}/$target/release/fanfold
packaging/symbols.sh "$built" "$glibc" >&2
echo "$built"

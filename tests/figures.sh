#!/usr/bin/env bash
# Measures what docs/performance.md reports, with release builds, in the sandbox. Called by ./run figures.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

command -v wrk >/dev/null || { echo "figures: install wrk first" >&2; exit 1; }
echo "==> building the release" >&2
cargo build --workspace --release --locked
echo "==> measuring, about two minutes" >&2
printf 'processors: %s, %s\n' "$(nproc)" "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n1)"
printf 'kernel: %s, %s\n' "$(uname -r)" "$(ssh -V 2>&1 | cut -d, -f1)"
MOTLEY_BIN_DIR=$target/release exec "$target/release/sandbox" --name login-node -- "$target/release/figures"

#!/usr/bin/env bash
# Measures what docs/performance.md reports, with release builds, in the sandbox. Called by ./run figures.
# With --compare: beside the Python stack; further arguments go to the program compare.
# With --provisioning: how accounts are made and looked up. With --client: mccli, beside ssh alone and
# the Python client.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

# Python programs in the versions of a list, made anew when that changes.
install_python() {
    local venv=$1 wanted=$2
    cmp -s "$wanted" "$venv/installed.txt" && return
    echo "==> installing what $wanted lists into $venv" >&2
    rm -rf "$venv"
    # The distribution's Python: the sandbox hides what lies in somebody's home.
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
    cp "$wanted" "$venv/installed.txt"
}

compare() {
    local dir=$target/figures
    mkdir -p "$dir"
    install_python "$dir/venv" benches/compare/requirements.txt
    echo "==> measuring both, about ten minutes" >&2
    in_sandbox compare --venv "$dir/venv" "$@" | tee "$dir/compare.md.new"
    mv "$dir/compare.md.new" "$dir/compare.md"
    echo "==> written to $dir/compare.md" >&2
}

figures() {
    echo "==> measuring, about two minutes" >&2
    printf 'processors: %s, %s\n' "$(nproc)" "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n1)"
    printf 'kernel: %s, %s\n' "$(uname -r)" "$(ssh -V 2>&1 | cut -d, -f1)"
    in_sandbox figures
}

provisioning() {
    echo "==> measuring how accounts are made, about five minutes" >&2
    in_sandbox provisioning
}

client() {
    local dir=$target/figures
    mkdir -p "$dir"
    install_python "$dir/mccli-venv" tests/partners/mccli-requirements.txt
    echo "==> measuring the clients, about two minutes" >&2
    in_sandbox client "$dir/mccli-venv"
}

in_sandbox() {
    local program=$1
    shift
    MOTLEY_BIN_DIR=$target/release "$target/release/sandbox" --name login-node -- "$target/release/$program" "$@"
}

case "${1:-}" in
    --client | --compare | --provisioning | "") ;;
    *) echo "figures: $1 is not known; there are --client, --compare and --provisioning" >&2; exit 2 ;;
esac
command -v wrk >/dev/null || { echo "figures: install wrk first" >&2; exit 1; }
echo "==> building the release" >&2
cargo build --workspace --release --locked
case "${1:-}" in
    --compare) shift; compare "$@" ;;
    --provisioning) provisioning ;;
    --client) client ;;
    *) figures ;;
esac

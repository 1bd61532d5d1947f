#!/usr/bin/env bash
# Our drivers beside the field's echo servers, in one run: is each goal reached, and what does everybody cost?
#
#   benches/peers/peers.sh                 # twelve minutes, and some to build
#   benches/peers/peers.sh --quick         # two minutes: whether it runs, not who is better
#   benches/peers/peers.sh --goal NAME     # the rows with NAME in theirs; --goal planted: 5 % that were put there
#   benches/peers/peers.sh --goal NAME --rounds 100    # and surer of them
#   benches/peers/peers.sh --syscalls      # system calls a message
#   benches/peers/peers.sh --write         # and into docs/performance.md, with the plots
#
# Exit code: 0 all that was measured is reached, 1 a goal is missed, 2 nothing could be measured, 3 the same server
# started twice was not the same, so that no row means anything.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/benches/peers target=${CARGO_TARGET_DIR:-$root/target}
peers=$target/peers/release

options=()
for option in "$@"; do
    if [ "$option" = --write ]; then options+=(--docs "$root/docs"); else options+=("$option"); fi
done

# What cannot be built cannot be measured.
trap 'exit 2' ERR
cargo build --profile dist --locked --quiet --manifest-path "$root/Cargo.toml" --target-dir "$target"
cargo build --release --locked --quiet --manifest-path "$here/Cargo.toml" --target-dir "$target/peers"
for name in epoll epoll-tuned; do cc -O2 -Wall -o "$peers/$name" "$here/servers/c/$name.c"; done
# What is not there is skipped, and the table says so.
rm -f "$peers/uv" "$peers/go-echo"
if echo '#include <uv.h>' | cc -E - >/dev/null 2>&1; then cc -O2 -Wall -o "$peers/uv" "$here/servers/c/uv.c" -luv; fi
if command -v go >/dev/null; then go build -o "$peers/go-echo" "$here/servers/go/echo.go"; fi

exec "$peers/harness" --ours "$target/dist/roundtrip" --peers "$peers" ${options[@]+"${options[@]}"}

#!/usr/bin/env bash
# 10 MiB with half-close through `serve`, again and again: every byte back and a clean end, each time. Builds and runs the
# release program.
#
#   tests/soak.sh [COUNT [DRIVER]]     # 100 times, std
set -euo pipefail
count=${1:-100} driver=${2:-std}
cd "$(dirname "$0")/.."
cargo build --release --quiet --package roundtrip
program=${CARGO_TARGET_DIR:-target}/release/roundtrip

coproc serve { exec "$program" serve 127.0.0.1:0 --driver "$driver"; }
server=$serve_PID
trap 'kill "$server" 2>/dev/null || true' EXIT
read -r -t 10 _ _ address <&"${serve[0]}"

ok=0
for ((try = 1; try <= count; try++)); do
    # A black hole ends by --timeout; whatever else goes wrong, by timeout(1).
    if timeout 60 "$program" check "$address" --bytes 10MiB --seed "$try" >/dev/null; then
        ok=$((ok + 1))
    else
        echo "try $try: exit $?, again with --seed $try" >&2
    fi
done
echo "$ok of $count ok"
[ "$ok" -eq "$count" ]

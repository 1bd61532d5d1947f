#!/usr/bin/env bash
# Builds every target and fuzzes each for some seconds, two at a time: what the gate does. Fails if anything is found.
#
#   fuzz/smoke.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-10}
binaries=$(./build.sh)
source ./options.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

smoke() {
    local name=$1 status=0
    mkdir "$work/$name"
    "$binaries/$name" -max_total_time="$seconds" -print_final_stats=1 $(options "$name") \
        -artifact_prefix="artifacts/$name-" "$work/$name" "corpus/$name" > "$work/$name.log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        tail -n 80 "$work/$name.log" >&2
        echo "$name: found something wrong; the input is in fuzz/artifacts" >&2
        return 1
    fi
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log") runs, nothing wrong"
}
mkdir -p artifacts
targets=(fuzz_targets/*.rs)
for ((index = 0; index < ${#targets[@]}; index += 2)); do
    pids=()
    for target in "${targets[@]:index:2}"; do
        smoke "$(basename "$target" .rs)" & pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
done

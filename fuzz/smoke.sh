#!/usr/bin/env bash
# Builds every target and fuzzes each from the committed corpus for some seconds, two at a time. Fails on any finding.
#
#   fuzz/smoke.sh [--planted] [SECONDS]       10 seconds per target by default
#
#   --planted     use the build of fuzz/build.sh --planted, with all of its bugs off
set -euo pipefail
cd "$(dirname "$0")"
usage='usage: fuzz/smoke.sh [--planted] [SECONDS]'
fail() { echo "fuzz/smoke.sh: $1; $usage" >&2; exit 2; }
[ "${1:-}" != --help ] || { echo "$usage" >&2; exit 2; }

variant=()
if [ "${1:-}" = --planted ]; then variant=(--planted); shift; fi
seconds=${1:-10}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "invalid number of seconds '$seconds'"
[ $# -le 1 ] || fail "unexpected argument '$2'"
source ./options.sh
binaries=$(./build.sh "${variant[@]}")
unset ROUNDTRIP_PLANTED
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

smoke() {
    local name=$1 status=0
    # Not from the working folder: the result must not depend on what was found here before.
    extract "$name" "$work/$name/corpus" || return 1
    mkdir -p "$work/$name/found" "artifacts/$name"
    "$binaries/$name" -max_total_time="$seconds" -print_final_stats=1 $(options "$name") \
        -artifact_prefix="artifacts/$name/" "$work/$name/found" "$work/$name/corpus" > "$work/$name.log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        tail -n 80 "$work/$name.log" >&2
        echo "$name: failed; the input is in fuzz/artifacts/$name" >&2
        return 1
    fi
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log") executions, no finding"
}
targets=(fuzz_targets/*.rs) failed=
for ((index = 0; index < ${#targets[@]}; index += 2)); do
    pids=()
    for target in "${targets[@]:index:2}"; do
        smoke "$(basename "$target" .rs)" & pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=yes; done
done
[ -z "$failed" ]

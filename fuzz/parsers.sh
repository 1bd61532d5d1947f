#!/usr/bin/env bash
# Feeds mutated inputs to every parser of files and of the command line, in 1 GiB of address space: none may panic, take more
# than ten seconds, or allocate what the input only claims. From the committed corpus; fails on any finding.
#
#   fuzz/parsers.sh [RUNS]       500,000 per parser by default
set -euo pipefail
cd "$(dirname "$0")"
usage='usage: fuzz/parsers.sh [RUNS]'
fail() { echo "fuzz/parsers.sh: $1; $usage" >&2; exit 2; }
[ "${1:-}" != --help ] || { echo "$usage" >&2; exit 2; }
runs=${1:-500000}
[[ $runs =~ ^[1-9][0-9]*$ ]] || fail "invalid number of runs '$runs'"
[ $# -le 1 ] || fail "unexpected argument '$2'"

source ./options.sh
targets=()
for target in fuzz_targets/*_parse.rs; do targets+=("$(basename "$target" .rs)"); done
binaries=$(./build.sh "${targets[@]}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in "${targets[@]}"; do
    extract "$name" "$work/$name"
    mkdir -p "$work/$name-found" "artifacts/$name"
    (
        ulimit -v 1048576
        "$binaries/$name" -runs="$runs" -print_final_stats=1 $(options "$name") -artifact_prefix="artifacts/$name/" \
            "$work/$name-found" "$work/$name"
    ) >"$work/log" 2>&1 || { tail -n 80 "$work/log" >&2; echo "$name: failed" >&2; exit 1; }
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log") inputs, no finding"
done

#!/usr/bin/env bash
# Fuzzes one target for long, and adds entries that reach new coverage to fuzz/corpus/TARGET, minimized. Inputs that fail
# are kept in fuzz/artifacts/TARGET. `fuzz/corpus.sh pack TARGET` then writes the corpus to the committed archive.
#
#   fuzz/campaign.sh TARGET [RUNS] [JOBS]       RUNS per job, 10,000,000 by default; 1 job by default
set -euo pipefail
cd "$(dirname "$0")"
usage='usage: fuzz/campaign.sh TARGET [RUNS] [JOBS]'
fail() { echo "fuzz/campaign.sh: $1; $usage" >&2; exit 2; }
[ "${1:-}" != --help ] || { echo "$usage" >&2; exit 2; }

source ./options.sh
name=${1:-} runs=${2:-10000000} jobs=${3:-1}
is_target "$name" || fail "no target '$name'"
[[ $runs =~ ^[1-9][0-9]*$ ]] || fail "invalid number of runs '$runs'"
[[ $jobs =~ ^[1-9][0-9]*$ ]] || fail "invalid number of jobs '$jobs'"
[ $# -le 3 ] || fail "unexpected argument '$4'"
binary=$(./build.sh "$name")/$name
# A new target has no archive yet.
[ ! -e "corpora/$name.tar" ] || ./corpus.sh unpack "$name"
mkdir -p "artifacts/$name"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

status=0 pids=()
for job in $(seq "$jobs"); do
    # The jobs share the folder, and read what the others add to it.
    "$binary" -runs="$runs" -seed="${SEED:-$RANDOM}" -reload=1 -print_final_stats=1 $(options "$name") \
        -artifact_prefix="artifacts/$name/" "corpus/$name" > "$work/log.$job" 2>&1 &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
for job in $(seq "$jobs"); do
    sed -n 's/^stat::number_of_executed_units: */executions: /p; s/^stat::average_exec_per_sec: */per second: /p' \
        "$work/log.$job" | paste -sd' ' | sed "s/^/$name: /"
    [ "$status" = 0 ] || tail -n 60 "$work/log.$job"
done
./corpus.sh minimize "$name"
exit "$status"

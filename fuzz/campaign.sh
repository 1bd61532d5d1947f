#!/usr/bin/env bash
# Fuzzes one target for long, from the committed corpus on, and adds to it what covers more. What is found wrong is kept
# in fuzz/artifacts; when it is mended it belongs into fuzz/regressions/TARGET.
#
#   fuzz/campaign.sh TARGET [RUNS] [JOBS]       as many runs a job; 10,000,000 on one job unless said otherwise
#   fuzz/campaign.sh cmin TARGET                only makes the corpus as small as it can be
set -euo pipefail
cd "$(dirname "$0")"

only=
if [ "${1:-}" = cmin ]; then only=cmin; shift; fi
name=${1:?which target} runs=${2:-10000000} jobs=${3:-1}
[ -e "fuzz_targets/$name.rs" ] || { echo "there is no target $name" >&2; exit 2; }
binary=$(./build.sh "$name")/$name
source ./options.sh
mkdir -p "artifacts/$name" "corpus/$name"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

status=0
if [ -z "$only" ]; then
    mkdir "$work/found"
    pids=()
    for job in $(seq "$jobs"); do
        # The jobs share what they find. libFuzzer's own figures go to the logs.
        "$binary" -runs="$runs" -seed="${SEED:-$RANDOM}" -reload=1 -print_final_stats=1 $(options "$name") \
            -artifact_prefix="artifacts/$name/" "$work/found" "corpus/$name" > "$work/log.$job" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
    for job in $(seq "$jobs"); do
        sed -n 's/^stat::number_of_executed_units: */executed /p; s/^stat::average_exec_per_sec: */a second /p' \
            "$work/log.$job" | paste -sd' ' | sed "s/^/$name: /"
        [ "$status" = 0 ] || tail -n 60 "$work/log.$job"
    done
fi

# What covers nothing that a smaller entry does not cover goes.
mkdir "$work/small"
folders=("corpus/$name")
[ -n "$only" ] || folders+=("$work/found")
"$binary" -merge=1 $(options "$name") "$work/small" "${folders[@]}" > "$work/log.merge" 2>&1 ||
    { tail -n 60 "$work/log.merge"; exit 1; }
rm -r "corpus/$name"
mv "$work/small" "corpus/$name"
echo "$name: $(find "corpus/$name" -type f | wc -l) entries, $(du -sb "corpus/$name" | cut -f1) bytes"
exit "$status"

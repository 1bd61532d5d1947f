#!/usr/bin/env bash
# Plants each of the simulator's sixteen bugs and lets `schedule` look for it, on one core for 60 s at the most, from the
# committed corpus and from nothing. Writes the table of docs/fuzzing.md; with `quick` it only says whether the corpus,
# replayed and then fuzzed, finds each.
#
#   fuzz/planted-schedule.sh [quick]
set -euo pipefail
cd "$(dirname "$0")"

seconds=60
quick=${1:-}
binary=$(./build.sh planted schedule)/schedule
source ./options.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
extract schedule "$work/corpus"

# hunt NUMBER FOLDER...: how many runs it took, and how long; nothing if it was not found.
hunt() {
    local number=$1 began ended status=0
    shift
    rm -rf "$work/found"
    mkdir "$work/found"
    began=$(date +%s%N)
    # The seeds of the fuzzer are the same each time.
    ROUNDTRIP_PLANTED=$number "$binary" -seed=1 -max_total_time=$seconds -print_final_stats=1 $(options schedule) \
        -artifact_prefix="$work/" "$work/found" "$@" > "$work/log" 2>&1 || status=$?
    ended=$(date +%s%N)
    [ "$status" != 0 ] || return 0
    # What an invariant says; anything else is no find.
    grep -q 'as a trace, for `roundtrip sim replay`' "$work/log" || { tail -n 40 "$work/log" >&2; exit 1; }
    # Where it is found among what there was to begin with, there are no statistics: it is one run each.
    local runs
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log" | tail -n 1)
    echo "${runs:-?} $(( (ended - began) / 100000000 ))"
}

tenths() { echo "$(( $1 / 10 )).$(( $1 % 10 ))"; }

cell() {
    local found
    found=$(hunt "$@")
    if [ -z "$found" ]; then echo "not in $seconds s"; else echo "${found% *} runs, $(tenths "${found#* }") s"; fi
}

status=0
for number in $(seq 1 16); do
    what=$(sed -n "s/^    bug($number, \"\([^\"]*\)\".*/\1/p" ../drivers/sim/src/scenarios/faulty.rs)
    [ -n "$what" ] || what=$(grep -A1 "^        $number,\$" ../drivers/sim/src/scenarios/faulty.rs | sed -n 's/^ *"\(.*\)",$/\1/p')
    corpus=$(cell "$number" "$work/corpus")
    case $corpus in not*) status=1 ;; esac
    if [ -n "$quick" ]; then echo "$number $what: $corpus"; continue; fi
    echo "| $number | $what | $corpus | $(cell "$number") |" | tee -a "$work/table"
done
[ "$status" = 0 ] || { echo 'a planted bug was not found from the corpus' >&2; exit 1; }
if [ -z "$quick" ]; then
    page=../docs/fuzzing.md
    { sed '/^<!-- planted -->$/q' "$page"
      echo '| # | bug | from the corpus | from nothing |'
      echo '| ---: | --- | ---: | ---: |'
      cat "$work/table"
      sed -n '/^<!-- end -->$/,$p' "$page"; } > "$work/page"
    mv "$work/page" "$page"
    echo 'wrote docs/fuzzing.md'
fi

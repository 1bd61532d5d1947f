#!/usr/bin/env bash
# Plants each bug of the simulator and measures how soon the target `schedule` finds it, on one core within 60 s, from the
# committed corpus and from no corpus. Writes the table of docs/fuzzing.md.
#
#   fuzz/planted-schedule.sh             takes some minutes
#   fuzz/planted-schedule.sh quick       from the corpus only; writes nothing
#
# Fails if a bug is not found from the corpus.
set -euo pipefail
cd "$(dirname "$0")"
usage='usage: fuzz/planted-schedule.sh [quick]'
fail() { echo "fuzz/planted-schedule.sh: $1; $usage" >&2; exit 2; }
[ "${1:-}" != --help ] || { echo "$usage" >&2; exit 2; }

seconds=60
quick=${1:-}
[ -z "$quick" ] || [ "$quick" = quick ] || fail "unexpected argument '$quick'"
[ $# -le 1 ] || fail "unexpected argument '$2'"
source ./options.sh
binaries=$(./build.sh --planted)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
extract schedule "$work/corpus"

# hunt NUMBER FOLDER...: executions until it was found, and tenths of a second; nothing if it was not found.
hunt() {
    local number=$1 start end status=0 executions
    shift
    rm -rf "$work/found"
    mkdir "$work/found"
    start=$(date +%s%N)
    # With a fixed seed of the fuzzer.
    ROUNDTRIP_PLANTED=$number "$binaries/schedule" -seed=1 -max_total_time=$seconds -print_final_stats=1 \
        $(options schedule) -artifact_prefix="$work/" "$work/found" "$@" > "$work/log" 2>&1 || status=$?
    end=$(date +%s%N)
    [ "$status" != 0 ] || return 0
    # Only a violated invariant counts.
    grep -q 'as a trace, for `roundtrip sim replay`' "$work/log" || { tail -n 40 "$work/log" >&2; return 1; }
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log" | tail -n 1)
    echo "${executions:-?} $(( (end - start) / 100000000 ))"
}

tenths() { echo "$(( $1 / 10 )).$(( $1 % 10 ))"; }

cell() {
    local found
    found=$(hunt "$@") || return
    if [ -z "$found" ]; then echo "not in $seconds s"; else echo "${found% *} runs, $(tenths "${found#* }") s"; fi
}

"$binaries/examples/planted_bugs" list > "$work/bugs"
[ -s "$work/bugs" ] || { echo 'no planted bugs' >&2; exit 1; }
status=0
while IFS=$'\t' read -r number what; do
    corpus=$(cell "$number" "$work/corpus") || exit 1
    case $corpus in not*) status=1 ;; esac
    if [ -n "$quick" ]; then echo "$number $what: $corpus"; continue; fi
    echo "| $number | $what | $corpus | $(cell "$number") |" | tee -a "$work/table"
done < "$work/bugs"
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

#!/usr/bin/env bash
# Plants each of the simulator's bugs and measures how soon the simulator finds it.
#
#   drivers/sim/planted-bugs.sh            the full table, which takes about two minutes and writes docs/planted-bugs.md;
#                                          then `traces`
#   drivers/sim/planted-bugs.sh quick      whether each bug is found within its limit, in the build of
#                                          fuzz/build.sh --planted; writes nothing
#   drivers/sim/planted-bugs.sh traces     whether the trace that the program keeps of each bug fails again in a new process,
#                                          and passes without the bug
set -euo pipefail
cd "$(dirname "$0")/../.."
usage='usage: drivers/sim/planted-bugs.sh [quick|traces]'
fail() { echo "drivers/sim/planted-bugs.sh: $1; $usage" >&2; exit 2; }
[ "${1:-}" != --help ] || { echo "$usage" >&2; exit 2; }

# A folder of its own, so that other builds never contain the bugs.
target=${CARGO_TARGET_DIR:-target}/planted
planted() { RUSTFLAGS='--cfg roundtrip_planted' cargo "$1" --release --quiet --target-dir "$target" "${@:2}"; }
table() { planted run -p roundtrip-scenarios --example planted_bugs -- "$@"; }

traces() {
    local number what status output scenario
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    planted build -p roundtrip
    sim() { ROUNDTRIP_PLANTED=$1 "$target/release/roundtrip" sim "${@:2}"; }
    table list > "$work/bugs"
    [ -s "$work/bugs" ] || { echo 'no planted bugs' >&2; exit 1; }
    while IFS=$'\t' read -r number what; do
        scenario=echo
        [ "$number" != 14 ] || scenario=server
        status=0
        sim "$number" run $scenario --seeds 0..20000 --keep "$work/$number" > "$work/output" || status=$?
        [ "$status" = 1 ] || { echo "bug $number: sim run exits with $status" >&2; exit 1; }
        status=0
        output=$(sim "$number" replay "$work/$number"/*.jsonl) || status=$?
        case "$status $output" in
            '1 FAIL'*'another way'*) ;;
            '1 FAIL'*) status=again ;;
        esac
        [ "$status" = again ] || { echo "bug $number: its trace does not fail again: $output" >&2; exit 1; }
        sim 0 replay "$work/$number"/*.jsonl > "$work/output" ||
            { echo "bug $number: its trace fails without the bug: $(cat "$work/output")" >&2; exit 1; }
    done < "$work/bugs"
    echo 'each trace fails again in a new process, and passes without its bug'
}

[ $# -le 1 ] || fail "unexpected argument '$2'"
case ${1:-} in
    '') ;;
    quick)
        binaries=$(fuzz/build.sh --planted)
        exec "$binaries/examples/planted_bugs" quick
        ;;
    traces) traces; exit ;;
    *) fail "unexpected argument '$1'" ;;
esac

rows=$(table) || { echo "$rows" >&2; exit 1; }
cat > docs/planted-bugs.md <<END
# Planted bugs

How soon the simulator finds known bugs. They are planted on purpose, one at a time, in a build that contains all of them
(\`--cfg roundtrip_planted\`, a flag that no choice of features can set). This page is written by

\`\`\`
drivers/sim/planted-bugs.sh
\`\`\`

- *within*: the limit, in seeds. *median*, *worst*: the first seed that found the bug, over 20 ranges of seeds a million
  apart; worst in bold where it exceeds the limit.
- *by*: the verdicts, and their counts out of 20. Each is one that the bug is expected to cause; any other fails the
  command.
- *shrunk to*: the largest number of events among the 20 shrunk schedules, and the largest number of runs that shrinking
  took. Each trace was read back and replayed. In bold above 20 events.
- The controls show which technique finds the bug. *all faults, no swarm*: every family of faults in every run. *default
  workload, no goals*: the workload is not drawn, so its goals (a full buffer, an end of stream with bytes held …) are not
  reached. *constant latency*: every segment takes the same time, and ties are not broken. The figure is the median;
  *missed*: not found within ten times the limit.
- *exhaustive*: schedules until the bug was found, in order of the number of injected faults, up to three.

$rows
END
echo 'wrote docs/planted-bugs.md'
traces

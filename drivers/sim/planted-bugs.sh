#!/usr/bin/env bash
# Plants sixteen bugs, one at a time, and measures how soon the simulator finds each. Takes about two minutes, and
# writes docs/planted-bugs.md; with `quick`, some seconds, and only says whether each is found within its limit.
#
#   drivers/sim/planted-bugs.sh [quick]
set -euo pipefail
cd "$(dirname "$0")/../.."

# In a folder of its own: a build with bugs in it must not be mistaken for another.
target=${CARGO_TARGET_DIR:-target}/planted
run() { RUSTFLAGS='--cfg roundtrip_planted' cargo run --release --quiet --target-dir "$target" -p roundtrip-sim --example planted -- "$@"; }

# What the program keeps of a bug fails again in a fresh process, the same way, and passes where the bug is not.
kept() {
    local keep=$(mktemp -d) number scenario
    RUSTFLAGS='--cfg roundtrip_planted' cargo build --release --quiet --target-dir "$target" -p roundtrip
    for number in $(seq 1 16); do
        scenario=echo
        [ "$number" != 14 ] || scenario=server
        sim() { ROUNDTRIP_PLANTED=$1 "$target/release/roundtrip" sim "${@:2}"; }
        local status=0 said
        sim "$number" run $scenario --seeds 0..20000 --keep "$keep/$number" > "$keep/said" || status=$?
        [ "$status" = 1 ] || { echo "bug $number: sim run ends with $status" >&2; return 1; }
        status=0
        said=$(sim "$number" replay "$keep/$number"/*.jsonl) || status=$?
        case "$status $said" in
            '1 FAIL'*'another way'*|0*) echo "bug $number: its trace does not fail again: $said" >&2; return 1 ;;
        esac
        sim 0 replay "$keep/$number"/*.jsonl > "$keep/said" ||
            { echo "bug $number: its trace fails without it: $(cat "$keep/said")" >&2; return 1; }
    done
    rm -r "$keep"
    echo 'each trace fails again in a fresh process, and passes without its bug'
}

if [ "${1:-}" = quick ]; then
    run quick
    kept
    exit
fi
table=$(run) || { echo "$table" >&2; exit 1; }
cat > docs/planted-bugs.md <<END
# Planted bugs

What a simulator is worth is how soon it finds what is wrong. These bugs are planted on purpose, one at a time, in a
build that carries all of them (\`--cfg roundtrip_planted\`, so that no choice of features can); this page is written by

\`\`\`
drivers/sim/planted-bugs.sh
\`\`\`

- *within*: the seeds that the bug may take. *median*, *worst*: the first seed that found it, over 20 ranges of seeds a
  million apart; worst in bold where it is over the limit.
- *by*: the verdicts, and how often of 20. Each is one that the bug is expected to trip; anything else fails the command.
- *shrunk to*: the most events of the 20 smallest schedules, and the most runs it took; each one's trace was read back
  and replayed. In bold where it is more than 20 events.
- The controls show what finds them. *all faults, no swarm*: every family of faults in every run. *default workload, no
  goals*: the workload is not drawn, so that its goals (a full buffer, an end while bytes are held …) are not reached.
  *constant latency*: every segment takes the same time, and ties are not broken. The figure is the median; *missed*: not
  found within ten times the limit.
- *exhaustive*: schedules until it was found, in order of how many choices are not benign, up to three.

$table
END
echo "wrote docs/planted-bugs.md"

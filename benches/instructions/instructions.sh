#!/usr/bin/env bash
# Counts the instructions of what is done for every message, and compares them with what was recorded. Fails where there
# are more, by over two in a hundred.
#
#   benches/instructions/instructions.sh            # against benches/instructions/baseline
#   benches/instructions/instructions.sh --write    # records them anew, in the commit that changes them on purpose
set -euo pipefail
cd "$(dirname "$0")/../.."
baseline=benches/instructions/baseline
count=benches/instructions/count.sh
# What another processor's `memcpy` or another linker's order may make of it.
tolerance=2

bench() { # PACKAGE BENCH -> its program
    cargo bench --quiet -p "$1" --bench "$2" --no-run --message-format=json-render-diagnostics |
        sed -n "s/.*\"executable\":\"\([^\"]*$2-[^\"]*\)\".*/\1/p"
}
core=$(bench roundtrip-echo message_path)
sim=$(bench roundtrip-scenarios echo)

# Two runs, so that starting up cancels out.
core_message() { # PATH MESSAGES
    echo $((($($count "$core" "$1" $((1000 + $2))) - $($count "$core" "$1" 1000)) / $2))
}
sim_message() { # CLIENTS MESSAGES MORE
    echo $((($($count "$sim" "$1" "$3") - $($count "$sim" "$1" "$2")) / ($1 * ($3 - $2))))
}
sim_event() { # KIND
    local events=$(($("$sim" "$1" 1300 | cut -d' ' -f1) - $("$sim" "$1" 300 | cut -d' ' -f1)))
    echo $((($($count "$sim" "$1" 1300) - $($count "$sim" "$1" 300)) / events))
}

measured=$(mktemp)
trap 'rm -f "$measured"' EXIT
status=0
printf '%-52s %9s %9s %7s\n' 'instructions' counted recorded change
row() { # NAME COUNT
    local recorded change=
    recorded=$(sed -n "s/^$1: //p" "$baseline" 2>/dev/null || true)
    [ -z "$recorded" ] || change=$(awk -v now="$2" -v then="$recorded" 'BEGIN { printf "%+.1f %%", 100 * (now - then) / then }')
    printf '%-52s %9d %9s %7s\n' "$1" "$2" "${recorded:--}" "$change"
    echo "$1: $2" >>"$measured"
    if [ -z "$recorded" ] || [ $((100 * $2)) -gt $(((100 + tolerance) * recorded)) ]; then
        over+=("$1")
    fi
}
over=()
row 'echo server, 64 B, raw machine' "$(core_message raw 10000)"
row 'echo server, 64 B, through Driven' "$(core_message driven 10000)"
row 'pinger, 64 B, there and back, verified' "$(core_message ping 1000)"
row 'pinger, 16 KiB, there and back, verified' "$(core_message ping-16k 1000)"
row 'simulator, a message of 10 clients, no faults' "$(sim_message 10 200 1200)"
row 'simulator, an event, all faults' "$(sim_event faults)"
row 'simulator, an event, scenario echo with its oracle' "$(sim_event seeds)"

if [ "${1:-}" = --write ]; then
    { echo "# $(rustc --version), the bench profile; written by benches/instructions/instructions.sh --write"; cat "$measured"; } >"$baseline"
elif [ ${#over[@]} -gt 0 ]; then
    printf "more than recorded, by over $tolerance %%: %s\n" "${over[@]}" >&2
    echo "  try: make it cheaper, or say in the commit why it costs more and record it with benches/instructions/instructions.sh --write" >&2
    status=1
fi
exit $status

#!/usr/bin/env bash
# Counts the instructions of the simulator's event path with callgrind: the same on a busy machine as on an idle one.
# Fails above the limits. With `times`, it also times events and seeds a second, which a busy machine makes worse.
#
#   drivers/sim/scenarios/benches/event-path.sh [times]
set -euo pipefail
cd "$(dirname "$0")/../../../.."

binary=$(cargo bench --quiet -p roundtrip-scenarios --bench echo --no-run --message-format=json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*echo-[^"]*\)".*/\1/p')
instructions() { benches/instructions/count.sh "$binary" "$@"; } # ARGUMENTS -> instructions of the whole run
events() { "$binary" "$@" | cut -d' ' -f1; }
per_message() { # CLIENTS MESSAGES MORE: two runs, so that starting up cancels out
    echo $(( ($(instructions "$1" "$3") - $(instructions "$1" "$2")) / ($1 * ($3 - $2)) ))
}
per_event() { # KIND
    echo $(( ($(instructions "$1" 1300) - $(instructions "$1" 300)) / ($(events "$1" 1300) - $(events "$1" 300)) ))
}

status=0
printf '%-56s %8s %6s\n' 'figure' measured limit
row() { # NAME MEASURED LIMIT
    printf '%-56s %8s %6s\n' "$1" "$2" "$3"
    if [ "$3" != - ] && [ "$2" -gt "$3" ]; then
        echo "over the limit: $1" >&2
        status=1
    fi
}
ten=$(per_message 10 200 1200)
thousand=$(per_message 1000 5 25)
row 'instructions a message, 10 clients, no faults' "$ten" 600
row 'instructions a message, 1,000 clients, no faults' "$thousand" $((ten * 5 / 2))
row 'instructions an event, 10 clients, swarms of all faults' "$(per_event faults)" 700
row 'instructions an event, scenario echo, its oracle included' "$(per_event seeds)" -

if [ "${1:-}" = times ]; then
    best() { # KIND SEEDS -> events/s and seeds/s of the best of five runs
        local best=
        for _ in 1 2 3 4 5; do
            local start=$(date +%s%N)
            local count=$(events "$1" "$2")
            local took=$(($(date +%s%N) - start))
            if [ -z "$best" ] || [ "$took" -lt "$best" ]; then best=$took; fi
        done
        echo "$((count * 1000 / (best / 1000))) thousand events/s, $(($2 * 1000000 / (best / 1000))) seeds/s"
    }
    echo
    echo "one core, best of five: swarms of all faults, $(best faults 20000)"
    echo "one core, best of five: scenario echo, $(best seeds 100000)"
fi
exit $status

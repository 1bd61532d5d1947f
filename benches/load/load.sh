#!/usr/bin/env bash
# `roundtrip load` against the least that a generator does, on the same server: messages a second, and CPU a message.
# The server has one core, the generators take turns on another, in pairs; the first row is a generator against itself.
#
#   benches/load/load.sh [PAIRS [SECONDS]]
set -euo pipefail
cd "$(dirname "$0")"
pairs=${1:-15} seconds=${2:-1}
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cargo build --profile dist --quiet --manifest-path ../../Cargo.toml
roundtrip=${CARGO_TARGET_DIR:-../../target}/dist/roundtrip
for program in pingpong server; do cc -O2 -o "$folder/$program" "$program.c"; done
exec 3< <(exec taskset -c 0 "$folder/server")
server=$!
read -r port <&3

TIMEFORMAT='%U %S'
# Messages a second, and microseconds of CPU a message.
measure() {
    local messages cpu
    { cpu=$({ time messages=$("$@" 2>&4) && echo "$messages" >"$folder/messages"; } 2>&1 4>&2); } 
    messages=$(<"$folder/messages")
    awk -v cpu="$cpu" -v messages="$messages" -v seconds="$seconds" \
        'BEGIN { split(cpu, t, " "); printf "%.0f %.3f\n", messages / seconds, (t[1] + t[2]) * 1e6 / messages }'
}
bare() { measure taskset -c 1 "$folder/pingpong" "$port" "$1" "$2" "$seconds"; }
load() {
    measure bash -c 'taskset -c 1 "$0" load "127.0.0.1:$1" -c "$2" --size "$3" -d "$4s" --json |
        grep -o "\"ok\":[0-9]*" | cut -d: -f2' "$roundtrip" "$port" "$1" "$2" "$seconds"
}
median() { sort -g | awk '{ a[NR] = $1 } END { printf "%.3f", NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'; }

echo "$(uname -r), $(nproc) cores, $pairs pairs of $seconds s, medians"
printf '%-28s %12s %12s %10s %10s %8s %8s\n' '' 'bare msg/s' 'other msg/s' 'bare µs' 'other µs' 'msg/s' 'CPU'
for workload in '1 64' '50 64' '1000 64' '50 16384'; do
    # shellcheck disable=SC2086
    for other in bare load; do
        : >"$folder/rows"
        for ((pair = 0; pair < pairs; pair++)); do
            # Who begins, changes.
            if ((pair % 2)); then a=$(bare $workload) b=$($other $workload); else b=$($other $workload) a=$(bare $workload); fi
            echo "$a $b" >>"$folder/rows"
        done
        column() { awk "{ print $1 }" "$folder/rows" | median; }
        printf '%-28s %12.0f %12.0f %10.2f %10.2f %8s %8s\n' "$other, ${workload/ / conn } B" "$(column '$1')" \
            "$(column '$3')" "$(column '$2')" "$(column '$4')" "$(column '$3/$1')" "$(column '$4/$2')"
    done
done

#!/usr/bin/env bash
# `redis-benchmark` against `redis-server` and against the example on each driver, in rounds that take turns. Prints, for
# each command, the median of the example's rate over Redis's in the same round, with the least and the most.
#
#   examples/resp/redis-benchmark.sh [ROUNDS [REQUESTS]]
#
# Five rounds of 200,000 requests from 50 connections, without pipelines and with sixteen deep ones. Needs redis-tools and
# redis-server. A ratio means little while other work runs.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${1:-5} requests=${2:-200000}
for tool in redis-server redis-benchmark; do
    command -v "$tool" >/dev/null || { echo "there is no $tool here" >&2; exit 1; }
done
cargo build --release --quiet -p roundtrip-resp
program=${CARGO_TARGET_DIR:-target}/release/roundtrip-resp

work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap cleanup EXIT

# await FILE PATTERN PID: until a server's log says that it is ready.
await() {
    for _ in $(seq 200); do
        grep -q "$2" "$1" && return
        kill -0 "$3" 2>/dev/null || break
        sleep 0.05
    done
    return 1
}

declare -A port
drivers=(std smol reactor)
for driver in "${drivers[@]}"; do
    "$program" 127.0.0.1:0 "$driver" > "$work/$driver.log" 2>&1 & pids+=($!)
    await "$work/$driver.log" '^listening' $! || { cat "$work/$driver.log" >&2; exit 1; }
    port[$driver]=$(sed -n 's/^listening tcp:.*://p' "$work/$driver.log")
done
# It cannot be told to take any free port, so some are tried.
for _ in $(seq 20); do
    port[redis]=$((20000 + RANDOM % 12000))
    redis-server --bind 127.0.0.1 --port "${port[redis]}" --save '' --appendonly no --dir "$work" > "$work/redis.log" 2>&1 &
    redis=$!
    if await "$work/redis.log" 'eady to accept connections' "$redis"; then
        pids+=("$redis")
        break
    fi
    kill "$redis" 2>/dev/null || true
    wait "$redis" 2>/dev/null || true
    redis=
done
[ -n "$redis" ] || { echo 'redis-server found no free port' >&2; exit 1; }

servers=(redis "${drivers[@]}")
for ((round = 1; round <= rounds; round++)); do
    for pipeline in 1 16; do
        for ((turn = 0; turn < ${#servers[@]}; turn++)); do
            # Another one goes first in each round.
            server=${servers[(turn + round) % ${#servers[@]}]}
            timeout 300 redis-benchmark -h 127.0.0.1 -p "${port[$server]}" -t ping,set,get,incr -n "$requests" -c 50 \
                -P "$pipeline" --csv 2>/dev/null | tr -d '"' |
                awk -F, -v at="$server $pipeline $round" '$2 + 0 > 0 { print at, $1, $2 }' >> "$work/rates"
        done
    done
done

awk -v drivers="${drivers[*]}" '
    BEGIN { drivers = split(drivers, name, " ") }
    { rate[$1, $2, $3, $4] = $5; if (!(($2, $4) in seen)) { seen[$2, $4]; order[++count] = $2 " " $4 } rounds = $3 }
    END {
        printf "%-8s %-14s %-6s %12s %8s %8s %8s\n", "pipeline", "command", "driver", "requests/s", "median", "least", "most"
        for (n = 1; n <= count; n++) for (d = 1; d <= drivers; d++) {
            split(order[n], at, " "); driver = name[d]; found = 0
            for (round = 1; round <= rounds; round++) {
                ours = rate[driver, at[1], round, at[2]]; theirs = rate["redis", at[1], round, at[2]]
                if (ours > 0 && theirs > 0) { ratios[++found] = ours / theirs; rates[found] = ours }
            }
            if (found == 0) continue
            sort(ratios, found); sort(rates, found); middle = int((found + 1) / 2)
            printf "%-8s %-14s %-6s %12.0f %8.2f %8.2f %8.2f\n", at[1], at[2], driver, rates[middle], ratios[middle], ratios[1], ratios[found]
        }
    }
    function sort(list, n,    i, j, x) {
        for (i = 2; i <= n; i++) { x = list[i]; for (j = i - 1; j > 0 && list[j] > x; j--) list[j + 1] = list[j]; list[j + 1] = x }
    }
' "$work/rates"

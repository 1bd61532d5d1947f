#!/usr/bin/env bash
# `wrk` on `GET /` of the example on each driver, and of hyper on one thread of tokio (benches/peers), in rounds that take
# turns. Prints, for each server, the median over the rounds of the requests per second and of the CPU time that the server
# took for a request, and the median, the least and the most of its ratio to hyper's in the same round.
#
#   examples/http/wrk.sh [ROUNDS [SECONDS]]
#
# Five rounds of 5 s by default, 50 connections. Needs wrk, and Linux for the CPU times. Figures mean little while other work
# runs.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${1:-5} seconds=${2:-5}
command -v wrk >/dev/null || { echo 'there is no wrk here' >&2; exit 1; }
cargo build --profile dist --quiet -p roundtrip-http
cargo build --release --quiet --manifest-path benches/peers/Cargo.toml -p peers-servers --bin hyper-http
program=${CARGO_TARGET_DIR:-target}/dist/roundtrip-http
hyper=${CARGO_TARGET_DIR:-benches/peers/target}/release/hyper-http

work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap cleanup EXIT

declare -A port pid
servers=(hyper std smol tokio reactor uring)
for server in "${servers[@]}"; do
    if [ "$server" = hyper ]; then command=("$hyper" 127.0.0.1:0); else command=("$program" 127.0.0.1:0 "$server"); fi
    "${command[@]}" > "$work/$server.log" 2>&1 & pids+=($!) pid[$server]=$!
    for _ in $(seq 200); do
        grep -qs '^listening' "$work/$server.log" && break
        kill -0 "${pid[$server]}" 2>/dev/null || { cat "$work/$server.log" >&2; exit 1; }
        sleep 0.05
    done
    port[$server]=$(sed -n 's/^listening tcp:.*://p' "$work/$server.log")
done

# ticks PID: the CPU time of all its threads, user and system, in ticks of the clock. The name before may have blanks.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

for ((round = 1; round <= rounds; round++)); do
    for ((turn = 0; turn < ${#servers[@]}; turn++)); do
        # Another one goes first in each round.
        server=${servers[(turn + round) % ${#servers[@]}]}
        before=$(ticks "${pid[$server]}")
        wrk -t1 -c50 "-d${seconds}s" "http://127.0.0.1:${port[$server]}/" > "$work/wrk" 2>&1
        after=$(ticks "${pid[$server]}")
        ! grep -E 'Socket errors|Non-2xx' "$work/wrk" >&2 || exit 1
        awk -v at="$server $round" -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" '
            / requests in / { requests = $1 }
            /^Requests\/sec:/ { rate = $2 }
            END { print at, rate, ticks / hertz / requests * 1e6 }' "$work/wrk" >> "$work/rounds"
    done
done

awk -v servers="${servers[*]}" '
    { rate[$1, $2] = $3; cost[$1, $2] = $4; rounds = $2 > rounds ? $2 : rounds }
    END {
        count = split(servers, name, " ")
        printf "%-8s %12s %16s %10s %8s %8s\n", "server", "requests/s", "CPU us/request", "to hyper", "least", "most"
        for (n = 1; n <= count; n++) {
            for (round = 1; round <= rounds; round++) {
                rates[round] = rate[name[n], round]; costs[round] = cost[name[n], round]
                ratios[round] = cost[name[n], round] / cost["hyper", round]
            }
            sort(rates, rounds); sort(costs, rounds); sort(ratios, rounds); middle = int((rounds + 1) / 2)
            printf "%-8s %12.0f %16.2f %10.2f %8.2f %8.2f\n", name[n], rates[middle], costs[middle], ratios[middle], ratios[1], ratios[rounds]
        }
    }
    function sort(list, n,    i, j, x) {
        for (i = 2; i <= n; i++) { x = list[i]; for (j = i - 1; j > 0 && list[j] > x; j--) list[j + 1] = list[j]; list[j + 1] = x }
    }
' "$work/rounds"

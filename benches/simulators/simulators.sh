#!/usr/bin/env bash
# Compares deterministic network simulators on one workload: an echo server and clients on hosts of their own, and
# messages of 64 bytes, one at a time and each byte compared. Builds them all, counts instructions with callgrind,
# takes the time, and prints a Markdown table. All of it in one run, so that the rows are from one machine.
#
#   benches/simulators/simulators.sh [CLIENTS]     # 10 unless told
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")"
clients=${1:-10}
command -v valgrind >/dev/null || { echo "needs valgrind: apt-get install valgrind" >&2; exit 2; }
export LC_ALL=C # a point in EPOCHREALTIME
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS # they would replace the flags that madsim needs
log=$(mktemp)
trap 'rm -f "$log"' EXIT

names=() binaries=() extras=() halves=()
row() { # NAME BINARY EXTRA-ARGUMENT HALF-CLOSE
    names+=("$1") binaries+=("$2") extras+=("$3") halves+=("$4")
}
version() { # PACKAGE LOCKFILE
    sed -n "/^name = \"$1\"\$/{n;s/version = \"\(.*\)\"/\1/p}" "$2"
}
build() { # FOLDER -> path of the executable; in the folder, or cargo does not see its .cargo/config.toml
    (cd "$1" && cargo build --release --locked --quiet --message-format=json) |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}

echo 'building' >&2
ours=$(cd ../.. && cargo bench --quiet -p roundtrip-sim --bench echo --no-run --message-format=json 2>"$log" |
    sed -n 's/.*"executable":"\([^"]*\/echo-[^"]*\)".*/\1/p') || ours=
if [ -n "$ours" ]; then
    row "roundtrip-sim $(version roundtrip-sim ../../Cargo.lock)" "$ours" '' yes
else
    echo "ours: not built: $(grep -m 1 '^error' "$log" || echo 'no executable')" >&2
fi
binary=$(build turmoil)
row "turmoil $(version turmoil turmoil/Cargo.lock)" "$binary" '' yes
row "turmoil $(version turmoil turmoil/Cargo.lock), tuned" "$binary" 0 yes
binary=$(build turmoil-net)
row "turmoil-net $(version turmoil-net turmoil-net/Cargo.lock)" "$binary" '' yes
binary=$(build madsim)
row "madsim $(version madsim madsim/Cargo.lock)" "$binary" '' no

run() { # ROW MESSAGES [PREFIX]...
    local row=$1 messages=$2 said
    said=$("${@:3}" "${binaries[row]}" "$clients" "$messages" ${extras[row]})
    if [ "$said" != "$((clients * messages)) messages verified" ]; then
        echo "${names[row]} says: $said" >&2
        exit 1
    fi
}
count() { # ROW MESSAGES -> instructions of the whole run
    run "$1" "$2" valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$log"
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$log"
}
least=()
clock() { # SLOT ROW MESSAGES; keeps the least microseconds of a slot
    local start=${EPOCHREALTIME/./} took
    run "$2" "$3"
    took=$((${EPOCHREALTIME/./} - start))
    [ "${least[$1]:-$took}" -lt "$took" ] || least[$1]=$took
}
grouped() { # NUMBER
    sed ':more;s/\B[0-9]\{3\}\>/,&/;tmore' <<<"$1"
}

# Two sizes of everything, so that starting up cancels out; the same messages in all, however many the clients.
per_client() { echo $((($1 + clients - 1) / clients)); }
small=$(per_client 1000) large=$(per_client 11000)
instructions=()
for row in "${!names[@]}"; do
    echo "counting: ${names[row]}" >&2
    few=$(count "$row" "$small")
    many=$(count "$row" "$large")
    instructions+=($(((many - few) / ((large - small) * clients))))
done

# In turns, so that a busy moment of the machine does not fall on one row.
short=$(per_client 10000) long=$(per_client 210000)
for round in 1 2 3 4 5; do
    echo "taking the time: $round of 5" >&2
    for row in "${!names[@]}"; do
        clock $((2 * row)) "$row" "$short"
        clock $((2 * row + 1)) "$row" "$long"
    done
done

echo "$clients clients, $(uname -m), $(rustc --version)"
echo
echo '| simulator | instructions a message | against ours | ns a message | half-close |'
echo '| --- | ---: | ---: | ---: | --- |'
for row in "${!names[@]}"; do
    ratio=-
    if [ -n "$ours" ]; then
        tenths=$(((10 * instructions[row] + instructions[0] / 2) / instructions[0]))
        ratio=$((tenths / 10)).$((tenths % 10))x
    fi
    nanos=$(((least[2 * row + 1] - least[2 * row]) * 1000 / ((long - short) * clients)))
    echo "| ${names[row]} | $(grouped "${instructions[row]}") | $ratio | $(grouped "$nanos") | ${halves[row]} |"
done
cat <<'END'

The peers run async code on an executor, which is what their users want to test; roundtrip-sim runs sans-IO machines
and needs none. So the figures compare what one and the same schedule costs, not who is better at the other's job.
END

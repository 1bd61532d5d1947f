#!/usr/bin/env bash
# How much of the core the replay of the corpus covers, in regions; fails if it is less than what is pinned here. Says so
# and is skipped where no LLVM reads the profiles.
#
#   fuzz/coverage.sh            the figure of each file, held to the pin
#   fuzz/coverage.sh missing    what is not covered, line by line
set -euo pipefail
cd "$(dirname "$0")/.."

# Hundredths of a percent.
pinned=9650

# The profiles are read by the LLVM that the compiler was built with, under one of the names it goes by.
major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
find_tool() {
    local sysroot host name
    sysroot=$(rustc --print sysroot) host=$(rustc -vV | sed -n 's/^host: //p')
    for name in "$1-$major" "/usr/lib/llvm-$major/bin/$1" "$sysroot/lib/rustlib/$host/bin/$1" "$1"; do
        if command -v "$name" >/dev/null && "$name" --version | grep -q "LLVM version $major\."; then
            command -v "$name"
            return
        fi
    done
    return 1
}
if ! profdata=$(find_tool llvm-profdata) || ! cov=$(find_tool llvm-cov); then
    echo "skipped: no llvm-cov and llvm-profdata $major"
    exit 0
fi

target=${CARGO_TARGET_DIR:-target}/coverage
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RUSTFLAGS='-Cinstrument-coverage' LLVM_PROFILE_FILE="$work/%p-%m.profraw"
build=(cargo test -p roundtrip-fuzzing --test corpus --target-dir "$target" ${JOBS:+-j "$JOBS"})
binary=$("${build[@]}" --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/corpus-[^"]*\)".*/\1/p' | tail -n 1)
"$binary" --quiet >/dev/null
"$profdata" merge -sparse "$work"/*.profraw -o "$work/profile"
sources=$(find core/src -name '*.rs' -not -path '*/search*')
if [ "${1:-}" = missing ]; then
    "$cov" show "$binary" -instr-profile="$work/profile" $sources -show-regions=false -show-line-counts |
        grep -E '^/|\|  *0\|'
    exit
fi
"$cov" report "$binary" -instr-profile="$work/profile" $sources --show-branch-summary=false | tee "$work/report" |
    awk 'NR == 1 || /%/ { print $1, $2, $3, $4 }' | column -t
total=$(awk '$1 == "TOTAL" { print $2, $3 }' "$work/report")
read -r regions missed <<< "$total"
covered=$(( (regions - missed) * 10000 / regions ))
echo "core: $(( covered / 100 )).$(printf %02d $(( covered % 100 ))) % of $regions regions, $missed missed"
[ "$covered" -ge "$pinned" ] || { echo "less than the $(( pinned / 100 )).$(printf %02d $(( pinned % 100 ))) % that are pinned" >&2; exit 1; }

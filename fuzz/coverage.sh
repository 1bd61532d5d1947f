#!/usr/bin/env bash
# Measures how much of the core the replay of corpora and regressions covers, in regions. Fails below the minimum in this
# file. Skipped with a message where the tools of the compiler's LLVM version are missing.
#
#   fuzz/coverage.sh             the figures of each file
#   fuzz/coverage.sh missing     the lines that are not covered
set -euo pipefail
cd "$(dirname "$0")/.."
usage='usage: fuzz/coverage.sh [missing]'
fail() { echo "fuzz/coverage.sh: $1; $usage" >&2; exit 2; }
[ "${1:-}" != --help ] || { echo "$usage" >&2; exit 2; }
[ $# -le 1 ] || fail "unexpected argument '$2'"
case ${1:-} in '' | missing) ;; *) fail "unexpected argument '$1'" ;; esac

# Hundredths of a percent.
minimum=9750

# The version that the compiler was built with must read its profiles. Debian and rustup name the tools differently.
major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
find_tool() {
    local sysroot host name
    sysroot=$(rustc --print sysroot) host=$(rustc -vV | sed -n 's/^host: //p')
    for name in "$1-$major" "/usr/lib/llvm-$major/bin/$1" "$sysroot/lib/rustlib/$host/bin/$1" "$1"; do
        if command -v "$name" >/dev/null && "$name" --version 2>/dev/null | grep -q "LLVM version $major\."; then
            command -v "$name"
            return
        fi
    done
    return 1
}
if ! profdata=$(find_tool llvm-profdata) || ! cov=$(find_tool llvm-cov); then
    echo "skipped: no llvm-cov and llvm-profdata $major"
    exit 77
fi

target=${CARGO_TARGET_DIR:-target}/coverage
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RUSTFLAGS='-Cinstrument-coverage' LLVM_PROFILE_FILE="$work/%p-%m.profraw"
build=(cargo test -p roundtrip-fuzzing --test integration --target-dir "$target" ${JOBS:+-j "$JOBS"})
binary=$("${build[@]}" --no-run --message-format=json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\/integration-[^"]*\)".*/\1/p' | tail -n 1)
"$binary" --quiet >/dev/null
"$profdata" merge -sparse "$work"/*.profraw -o "$work/profile"
sources=$(find core/src core/echo/src core/messages/src -name '*.rs' -not -path '*/search*')
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
percent() { printf '%d.%02d %%' $(( $1 / 100 )) $(( $1 % 100 )); }
echo "core: $(percent $covered) of $regions regions, $missed missed"
[ "$covered" -ge "$minimum" ] || { echo "less than the minimum of $(percent $minimum)" >&2; exit 1; }

#!/usr/bin/env bash
# Builds fuzz targets for libFuzzer with coverage instrumentation, on the stable toolchain, and prints the folder of the
# binaries. `cargo fuzz build` needs a nightly toolchain, or RUSTC_BOOTSTRAP=1, for the same.
#
#   fuzz/build.sh [--address] [--planted] [TARGET…]       all targets by default
#
#   --address     with AddressSanitizer
#   --planted     with the planted bugs of the simulator, off unless ROUNDTRIP_PLANTED=NUMBER switches one on, and with
#                 examples/planted_bugs, the simulator's own check of them; compiles fast, with fewer optimizations
set -euo pipefail
cd "$(dirname "$0")"
usage='usage: fuzz/build.sh [--address] [--planted] [TARGET…]'
fail() { echo "fuzz/build.sh: $1; $usage" >&2; exit 2; }
[ "${1:-}" != --help ] || { echo "$usage" >&2; exit 2; }

flags='--cfg fuzzing -Cpasses=sancov-module'
# Edges without comparisons: tracing comparisons takes two thirds of the time, and the initial entries contain the words
# that the parsers compare with.
for argument in level=3 inline-8bit-counters pc-table; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$argument"
done
folder=fuzz profile=release planted= names=()
for word in "$@"; do
    case $word in
        # The runtime comes with the toolchain, but the flag is unstable.
        --address) flags+=' -Zsanitizer=address' folder+=-address; export RUSTC_BOOTSTRAP=1 ;;
        --planted) flags+=' --cfg roundtrip_planted' folder+=-planted profile=quick planted=yes ;;
        *) [ -e "fuzz_targets/$word.rs" ] || fail "no target '$word'"; names+=("$word") ;;
    esac
done
what=()
if [ ${#names[@]} -gt 0 ]; then
    for name in "${names[@]}"; do what+=(--bin "$name"); done
else
    what=(--bins)
    [ -z "$planted" ] || what+=(--example planted_bugs)
fi
# One folder for each set of flags. With --target, build scripts and procedural macros are built without the flags.
target=${CARGO_TARGET_DIR:-$PWD/../target}/$folder
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS=$flags cargo build --profile $profile --quiet --target "$host" --target-dir "$target" "${what[@]}" ${JOBS:+-j "$JOBS"}
echo "$target/$host/$profile"

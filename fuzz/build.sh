#!/usr/bin/env bash
# Builds every fuzz target with coverage for libFuzzer, with the toolchain that builds everything else, and says where
# they are. Further words are flags, `address` adds AddressSanitizer, `planted` the simulator's planted bugs; or targets,
# where not all are wanted.
#
#   fuzz/build.sh [address] [planted] [TARGET…]
#
# `cargo fuzz build` does the same where it is installed, on a nightly toolchain.
set -euo pipefail
cd "$(dirname "$0")"

flags='--cfg fuzzing -Cpasses=sancov-module'
# Edges, and no comparisons: tracing these takes two thirds of the time, and the seeds spell out what parsers compare with.
for argument in level=3 inline-8bit-counters pc-table; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$argument"
done
folder=fuzz only=()
for word in "$@"; do
    if [ -e "fuzz_targets/$word.rs" ]; then
        only+=(--bin "$word")
        continue
    fi
    case $word in
        # The runtime comes with the toolchain; the flag is not stable.
        address) flags+=' -Zsanitizer=address'; export RUSTC_BOOTSTRAP=1 ;;
        planted) flags+=' --cfg roundtrip_planted' ;;
        *) echo "fuzz/build.sh: what is $word?" >&2; exit 2 ;;
    esac
    folder+=-$word
done
# In a folder of its own: another set of flags must not be mistaken for this one. With a target named, build scripts and
# procedural macros are built without the flags.
target=${CARGO_TARGET_DIR:-$PWD/../target}/$folder
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS=$flags cargo build --release --quiet --target "$host" --target-dir "$target" "${only[@]}" ${JOBS:+-j "$JOBS"}
echo "$target/$host/release"

#!/usr/bin/env bash
# Changes one thing of the core at a time; a test has to fail. Some 500 mutants, about half an hour on two cores.
# What survives is printed, and belongs into core/mutants.md with its reason, or is a missing test.
#
#   .ci/mutants.sh [OPTION OF cargo mutants]...
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-mutants >/dev/null || cargo install cargo-mutants --locked
# Without debug information a mutant builds in a fraction of the time.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
cargo mutants --package roundtrip-core --package roundtrip-echo --package roundtrip-messages --timeout 30 --jobs 2 "$@" -- --tests

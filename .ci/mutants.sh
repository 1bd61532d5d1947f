#!/usr/bin/env bash
# Changes one thing of the core at a time; a test has to fail. Some 1,500 mutants, about an hour on two cores.
# What survives is printed, and belongs into core/mutants.md with its reason, or is a missing test.
#
#   .ci/mutants.sh [OPTION OF cargo mutants]...
#
# A mutant is tried with the tests of its own crate first, which is cheap, and what survives with those of the crates above it.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-mutants >/dev/null || cargo install cargo-mutants --locked
# Without debug information a mutant builds in a fraction of the time, and the tests of echo, which search every state, take a
# sixth of it with a little optimisation.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=1
mutants() {
    cargo mutants --package roundtrip-core --package roundtrip-echo --package roundtrip-messages --timeout 30 --jobs 2 "$@" -- --tests
}
# 2: some mutants survived.
status=0
mutants "$@" || status=$?
[ "$status" = 2 ] || exit "$status"
echo 'with the tests of the crates above:'
mutants --iterate --test-package roundtrip-core --test-package roundtrip-echo --test-package roundtrip-messages --test-package roundtrip-script \
    --test-package roundtrip-client "$@"

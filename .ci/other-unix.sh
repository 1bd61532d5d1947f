#!/usr/bin/env bash
# Optional: checks that the workspace compiles for FreeBSD and for macOS, with Debian's compiler and its sources (about
# 700 MB to install; needs root). Nothing is linked, and nothing runs; the C of dependencies, of which there is no compiler
# here, is left out. It takes some ten minutes on two cores, and keeps what it makes in target/other-unix.
#
#   .ci/other-unix.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never
if ! [ -e /usr/lib/rustlib/src/rust/library/std ] || ! [ -x /usr/bin/rustc ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq rustc-web rust-web-src >/dev/null
fi
/usr/bin/rustc --version

made=$(realpath -m "${CARGO_TARGET_DIR:-target}")/other-unix
for triple in x86_64-unknown-freebsd aarch64-apple-darwin; do
    printf '\n== %s (%ds)\n' "$triple" "$SECONDS"
    # What is only checked asks nothing of the C that it would be linked with. The trials of reliability are for Linux.
    name=${triple//-/_}
    env "CC_$name=true" "AR_$name=true" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 cargo check \
        -Zwarnings --config 'build.warnings="deny"' -Zbuild-std=std,panic_unwind --target "$triple" --target-dir "$made" \
        --workspace --exclude roundtrip-reliability
done

printf '\n== done (%ds)\n' "$SECONDS"
echo 'the workspace compiles for FreeBSD and macOS; none of it was linked, or ran'

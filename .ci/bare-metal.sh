#!/usr/bin/env bash
# Optional: builds the core and its protocols for a target that has no standard library, with Debian's compiler and its sources
# (about 700 MB to install; needs root). The core's `#![no_std]` alone would not notice a dependency that
# brings the standard library in.
#
#   .ci/bare-metal.sh
set -euo pipefail
cd "$(dirname "$0")/.."
if ! [ -e /usr/lib/rustlib/src ] && ! dpkg -s rust-web-src >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq rustc-web rust-web-src >/dev/null
fi
RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 cargo build -p roundtrip-core -p roundtrip-echo -p roundtrip-messages \
    -Zbuild-std=core,alloc --target x86_64-unknown-none --target-dir target/bare-metal
echo "roundtrip-core, roundtrip-echo and roundtrip-messages build without a standard library"

#!/usr/bin/env bash
# Optional: builds the workspace for Windows and runs its tests under wine, with Debian's compiler and its sources, mingw
# and wine (some 2 GB to install; needs root). It takes about half an hour on two cores, and keeps all it makes in
# target/windows.
#
#   .ci/windows.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

step() { printf '\n== %s (%ds)\n' "$*" "$SECONDS"; }

step 'tools'
missing=()
for pair in rustc:rustc-web rustdoc:rustc-web x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64-win32 wine:wine wineserver:wine \
    nc:netcat-openbsd ip:iproute2 unshare:util-linux; do
    [ -x "/usr/bin/${pair%%:*}" ] || [ -x "/sbin/${pair%%:*}" ] || missing+=("${pair##*:}")
done
[ -e /usr/lib/rustlib/src/rust/library/std ] || missing+=(rust-web-src)
[ -e /usr/lib/wine/wine64 ] || missing+=(wine64)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing, and not mine to install: ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
fi
/usr/bin/rustc --version
wine --version

triple=x86_64-pc-windows-gnu
made=$(realpath -m "${CARGO_TARGET_DIR:-target}")/windows
mkdir -p "$made"
export WINEPREFIX=$made/wine WINEDEBUG=-all DISPLAY=
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
export CC_x86_64_pc_windows_gnu=x86_64-w64-mingw32-gcc AR_x86_64_pc_windows_gnu=x86_64-w64-mingw32-ar

# The compiler and the sources of the standard library must be of one release, and those of other places come without the
# sources, or without the target. The standard library as people have it makes no debug assertions; with them, it does not
# bear wine's getaddrinfo, whose second result is not aligned.
for_windows() {
    local command=$1
    shift
    RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 cargo \
        --config profile.dev.package.std.debug-assertions=false "$command" \
        -Zbuild-std=std,panic_unwind --target $triple --target-dir "$made" "$@"
}

step 'a wine'
if ! [ -e "$WINEPREFIX/system.reg" ]; then
    wine wineboot -i 2>/dev/null
    wineserver -w
fi
# wine 8 lacks the library that the standard library takes its random numbers from. What it forwards to is what that
# library's one function is made of.
printf '%s\n' 'LIBRARY bcryptprimitives.dll' EXPORTS '  ProcessPrng = advapi32.SystemFunction036' > "$made/shim.def"
x86_64-w64-mingw32-gcc -shared -nostdlib -Wl,--entry=0 -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" \
    "$made/shim.def"
# Kept over all tests: it takes its time to begin and to end. One that a killed run left there will do.
wineserver -p || true
trap 'wineserver -k' EXIT

# What only Linux has for these tests: the trials of reliability. The reactor and the ring are empty crates here.
packages=(--workspace --exclude roundtrip-reliability)

step 'build'
for_windows build "${packages[@]}" --all-targets

step 'tests under wine'
for_windows test "${packages[@]}" --all-targets --no-fail-fast

step 'examples in the documentation, under wine'
for_windows test "${packages[@]}" --exclude roundtrip-reactor --exclude roundtrip-uring --doc

step 'the program from outside, under wine: the tutorial, Linux on the other side, Ctrl-C'
if [ "$(id -u)" = 0 ]; then
    ROUNDTRIP_EXE=$made/$triple/debug/roundtrip.exe cargo test --test program wine:: -- --ignored
else
    echo 'skipped: a network of its own needs root'
fi

step 'done'
cat <<END
passed under $(wine --version): all tests that are built for Windows, and those of tests/program/wine.rs
not there: the drivers reactor (Unix) and uring (Linux); endpoints unix: and systemd:; tests that need sh, signals, or tools
left out aloud: what only a reset tells that comes before it is read, which wine takes for an end
docs/platforms.md says more, and what wine cannot vouch for
END

#!/usr/bin/env bash
# Reliability trials: what do echo servers lose? Our drivers, and socat, ncat, xinetd, tcpserver and asyncio where they are
# installed. Exits with 1 if a driver of ours misses a figure. Rows with times in them need an idle machine.
#
#   tests/reliability/reliability.sh                      # all, 25 minutes, and the table of docs/reliability.md
#   tests/reliability/reliability.sh [--quick] SERVER...  # print some columns; with --quick a twentieth of each trial
#
# ROUNDTRIP_TRIAL=WORDS: only the rows whose name contains these words. The page is written only if no row and no column is
# left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p roundtrip -p roundtrip-reliability
trials=("${CARGO_TARGET_DIR:-target}/release/roundtrip-reliability")
# Some trials need network namespaces: without root, in a user namespace. Where there is none, their cells say so.
if [ "$(id -u)" != 0 ] && unshare --map-root-user true 2>/dev/null; then
    trials=(unshare --map-root-user "${trials[@]}")
fi
missing=$("${trials[@]}" --missing | tr '\n' ' ')
if [ $# -gt 0 ] || [ -n "${ROUNDTRIP_TRIAL-}" ] || [ -n "$missing" ]; then
    [ $# -gt 0 ] || echo "docs/reliability.md is not written: the table has not every row and column" >&2
    exec "${trials[@]}" "$@"
fi

page=docs/reliability.md status=0
table=$("${trials[@]}") || status=$?
# A table that ended early must not replace the page's.
[ "$status" -le 1 ] || exit "$status"
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
{ sed '/^<!-- trials: written by/q' "$page"
  printf '\n%s\n\n' "$table"
  sed -n '/^<!-- trials: end -->$/,$p' "$page"; } > "$fresh"
cat "$fresh" > "$page"
echo "wrote $page"
exit "$status"

#!/usr/bin/env bash
# Manages corpora and regressions. The archive fuzz/corpora/TARGET.tar is committed; fuzz/corpus/TARGET is the working
# folder of libFuzzer, which git ignores. Packing needs GNU tar.
#
#   fuzz/corpus.sh unpack [TARGET…]         add the committed entries to the working folder; all targets by default
#   fuzz/corpus.sh pack TARGET              write the archive from the working folder
#   fuzz/corpus.sh minimize TARGET          remove entries that add no coverage from the working folder
#   fuzz/corpus.sh add TARGET FILE [NAME]   keep a finding as fuzz/regressions/TARGET/NAME and replay it: exits with 0 if
#                                           it passes, 1 if it fails
#   fuzz/corpus.sh seeds FOLDER             write the initial entries of every target, one folder per target
#   fuzz/corpus.sh entry TRACE              print a trace of the simulator as an entry of `schedule`
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")"
source ./options.sh

usage='usage: fuzz/corpus.sh unpack [TARGET…] | pack TARGET | minimize TARGET | add TARGET FILE [NAME] | seeds FOLDER | entry TRACE'
fail() { echo "fuzz/corpus.sh: $1" >&2; exit 2; }
# A path as the caller wrote it.
path() { case $1 in /*) echo "$1" ;; *) echo "$caller/$1" ;; esac; }
target() { is_target "${1:-}" || fail "no target '${1:-}'"; }
entries() { find "corpus/$1" -maxdepth 1 -type f -printf '%P\n' | LC_ALL=C sort; }
count() { entries "$1" | wc -l; }

# The plain targets, without a fuzzer: tests/fuzzing/examples/corpus.rs.
plain() { (cd .. && ${limit:-} cargo run --quiet -p roundtrip-fuzzing --example corpus -- "$@"); }

# The archive that the working folder was last unpacked from or packed to. Without it, packing would drop entries.
stamp() { echo "corpus/.$1.unpacked"; }
is_unpacked() {
    [ -d "corpus/$1" ] && [ -e "corpora/$1.tar" ] && [ -e "$(stamp "$1")" ] &&
        [ "$(cksum < "corpora/$1.tar")" = "$(cat "$(stamp "$1")")" ]
}

unpack() {
    is_unpacked "$1" && return
    extract "$1" "corpus/$1"
    cksum < "corpora/$1.tar" > "$(stamp "$1")"
}

pack() {
    local archive=corpora/$1.tar
    if [ -e "$archive" ]; then
        is_unpacked "$1" || fail "fuzz/corpus/$1 lacks the committed entries: run fuzz/corpus.sh unpack $1 first"
    fi
    [ -d "corpus/$1" ] && [ "$(count "$1")" -gt 0 ] || fail "fuzz/corpus/$1 has no entries"
    # The same entries give the same bytes.
    entries "$1" |
        tar --create --file "$archive.new" --format=ustar --directory "corpus/$1" --owner=0 --group=0 --numeric-owner \
            --mtime=@0 --mode=0644 --no-recursion --verbatim-files-from --files-from=-
    mv "$archive.new" "$archive"
    cksum < "$archive" > "$(stamp "$1")"
    echo "$1: packed $(count "$1") entries, $(wc -c < "$archive") bytes"
}

minimize() {
    local binary before
    # A new target has no archive yet.
    [ ! -e "corpora/$1.tar" ] || unpack "$1"
    [ -d "corpus/$1" ] || fail "no folder fuzz/corpus/$1"
    before=$(count "$1")
    binary=$(./build.sh "$1")/$1
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/small"
    "$binary" -merge=1 $(options "$1") "$work/small" "corpus/$1" > "$work/log" 2>&1 || { tail -n 60 "$work/log" >&2; exit 1; }
    find "corpus/$1" -type f -delete
    cp -r "$work/small/." "corpus/$1"
    echo "$1: minimized from $before to $(count "$1") entries"
}

add() {
    local name=$1 file kept binary small
    file=$(path "$2")
    [ -f "$file" ] || fail "no file '$2'"
    kept=regressions/$name/${3:-$(basename "$file")}
    case ${3:-} in */*) fail "invalid name '$3'" ;; esac
    if [ -e "$kept" ] && ! cmp -s "$file" "$kept"; then fail "fuzz/$kept exists"; fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp "$file" "$work/input"
    # Build it before time is limited, for an input that does not come to an end.
    plain run "$name"
    fails() { ! limit='timeout 60' plain run "$name" "$1" > "$work/log" 2>&1; }
    # Minimize what fails, if a fuzzer is built.
    binary=${CARGO_TARGET_DIR:-$PWD/../target}/fuzz/$(rustc -vV | sed -n 's/^host: //p')/release/$name
    small=$work/small
    if [ -x "$binary" ] && fails "$work/input"; then
        "$binary" -minimize_crash=1 -max_total_time=30 $(options "$name") -exact_artifact_path="$small" "$work/input" \
            > "$work/minimize" 2>&1 || true
        # Only if the plain target fails as well: the fuzzer may have been built from other sources.
        if [ -s "$small" ] && [ "$(wc -c < "$small")" -lt "$(wc -c < "$file")" ] && fails "$small"; then
            echo "$name: minimized from $(wc -c < "$file") to $(wc -c < "$small") bytes"
            cp "$small" "$work/input"
        fi
    fi
    mkdir -p "regressions/$name"
    cp "$work/input" "$kept"
    if fails "$PWD/$kept"; then
        cat "$work/log" >&2
        echo "$name: fuzz/$kept fails" >&2
        exit 1
    fi
    echo "$name: fuzz/$kept passes"
}

command=${1:-}
[ $# = 0 ] || shift
case $command in
    unpack)
        targets=("$@")
        [ $# -gt 0 ] || for source in fuzz_targets/*.rs; do targets+=("$(basename "$source" .rs)"); done
        for name in "${targets[@]}"; do target "$name"; done
        for name in "${targets[@]}"; do unpack "$name"; done
        ;;
    pack | minimize)
        [ $# -le 1 ] || fail "unexpected argument '$2'"
        target "${1:-}"
        "$command" "$1"
        ;;
    add)
        [ $# -ge 2 ] && [ $# -le 3 ] || fail 'add takes a target, a file and optionally a name'
        target "$1"
        add "$@"
        ;;
    seeds | entry)
        [ $# = 1 ] || fail "$command takes one argument"
        plain "$command" "$(path "$1")"
        ;;
    '' | --help) echo "$usage" >&2; exit 2 ;;
    *) fail "no command '$command': use unpack, pack, minimize, add, seeds or entry" ;;
esac

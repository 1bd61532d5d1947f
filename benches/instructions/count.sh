#!/usr/bin/env bash
# Counts the instructions that a program takes in user space, with callgrind: the same on a busy machine as on an idle one.
#
#   benches/instructions/count.sh PROGRAM [ARGUMENTS]
set -euo pipefail
command -v valgrind >/dev/null || { echo "needs valgrind: apt-get install valgrind" >&2; exit 2; }
valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' | grep .

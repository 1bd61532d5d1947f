#!/usr/bin/env bash
# Puts servers on trial: what do they lose? Ours, and those of socat, ncat, xinetd, tcpserver and asyncio where they are
# here. Without arguments it takes some twenty minutes and writes docs/reliability.md; with `--quick`, or the names of
# servers, it only prints. Exits with 1 if a driver of ours misses a figure. Rows with times in them want a machine that
# does nothing else; ROUNDTRIP_TRIAL=WORDS makes only the trials whose name has these words in it.
#
#   tests/reliability/reliability.sh [--quick] [SERVER]...
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p roundtrip -p roundtrip-reliability
trials=${CARGO_TARGET_DIR:-target}/release/roundtrip-reliability
if [ $# -gt 0 ]; then
    exec "$trials" "$@"
fi
status=0
table=$("$trials") || status=$?
cat > docs/reliability.md <<END
# Reliability

What servers lose, measured on the loopback with the same trials for all of them:

\`\`\`
tests/reliability/reliability.sh
\`\`\`

$table

In bold: the figure is missed. *Lost* is what the server's TCP had acknowledged, at the least, and never came back to a
client that kept reading. Memory is the server's own and its children's (\`Pss\`), divided by the connections.

The rest of the table that this project holds itself to is tests, run by \`cargo test\`:

| what | where |
| --- | --- |
| a drain's deadline: the exact count of bytes that were not echoed, exit 3; a second signal forces | [tests/program/serve.rs](../tests/program/serve.rs) |
| each limit of a session, to the nanosecond | [tests/conformance/scripts](../tests/conformance/scripts), in the simulator |
| accept errors, interrupted calls and short writes are survived | [tests/kit/src/suite](../tests/kit/src/suite), [drivers/net](../drivers/net/src/door.rs), the simulator |
| an oracle names what a fault-injecting peer lost, doubled, swapped, flipped, cut off or reset | [tests/program/verdicts.rs](../tests/program/verdicts.rs) |
| the same script comes to the same end on every driver and in the simulator | [tests/conformance](../tests/conformance) |
| 100,000 schedules in the simulator | [.ci/run](../.ci/run) |
END
echo "wrote docs/reliability.md"
exit $status

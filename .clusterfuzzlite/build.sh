#!/bin/bash -eu
# Not run here: builds every target as OSS-Fuzz expects it, with its seed corpus and its options.
cd "$SRC/roundtrip/fuzz"
cargo fuzz build -O
source ./options.sh
for source in fuzz_targets/*.rs; do
    name=$(basename "$source" .rs)
    cp "target/x86_64-unknown-linux-gnu/release/$name" "$OUT/"
    extract "$name" "corpus/$name"
    zip -jqr "$OUT/${name}_seed_corpus.zip" "corpus/$name"
    { echo '[libfuzzer]'; options "$name" | sed -n 's/^-\(max_len=.*\)/\1/p'; } > "$OUT/$name.options"
done

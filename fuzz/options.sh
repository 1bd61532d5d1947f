# Sourced by the scripts beside it, with fuzz/ as the working directory: options and corpora of the targets.

# is_target NAME
is_target() { [ -n "$1" ] && [ -e "fuzz_targets/$1.rs" ]; }

# options TARGET: prints the options of libFuzzer, one per line.
options() {
    case $1 in
        # Long histories are slow, and the hit counts of their edges say little.
        schedule) printf '%s\n' -max_len=64 -use_counters=0 ;;
        server_ops | client_ops | pinger_ops | admission_ops) printf '%s\n' -max_len=96 -use_counters=0 ;;
        session_ops) printf '%s\n' -max_len=128 -use_counters=0 ;;
        http_ops) echo -max_len=512 ;;
        config_ops) echo -max_len=64 ;;
        endpoint_parse | units_parse) echo -max_len=64 ;;
        trace_parse | record_parse) echo -max_len=2048 ;;
        report_parse | script_parse) echo -max_len=1024 ;;
        *) echo -max_len=256 ;;
    esac
    printf '%s\n' -rss_limit_mb=1024 -timeout=10
}

# extract TARGET FOLDER: adds the entries of the committed corpus to a folder. Fails if there are none.
extract() {
    local archive=corpora/$1.tar
    [ -e "$archive" ] || { echo "missing archive fuzz/$archive" >&2; return 1; }
    mkdir -p "$2"
    tar --extract --file "$archive" --directory "$2" || { echo "cannot read fuzz/$archive" >&2; return 1; }
    [ -n "$(find "$2" -type f -print -quit)" ] || { echo "fuzz/$archive has no entries" >&2; return 1; }
}

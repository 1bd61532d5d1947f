# What each target is run with; sourced by the scripts beside it.

# options TARGET
options() {
    case $1 in
        # Long histories are slow, and how often an edge is taken in one says little.
        schedule) echo -max_len=64 -use_counters=0 ;;
        server_ops | client_ops | pinger_ops | admission_ops) echo -max_len=96 -use_counters=0 ;;
        config_ops) echo -max_len=64 ;;
        endpoint_parse | units_parse) echo -max_len=64 ;;
        trace_parse | record_parse) echo -max_len=2048 ;;
        report_parse | script_parse) echo -max_len=1024 ;;
        *) echo -max_len=256 ;;
    esac
    echo -rss_limit_mb=1024 -timeout=10
}

# Runs named steps; sourced by `.ci/run` and `.ci/nightly`.
#
#   step NAME 'what it guards' [LANE]   declares a step; the function `step_NAME` (with _ for -) is what it runs
#   run_steps "$@"                      runs the steps that the arguments name, or all; prints a table of seconds, processor
#                                       seconds and results; fails if any failed
#
# Two lanes run beside each other, because tests mostly wait and builds never do: `debug`, the steps that build in target/debug
# (the default), and `release`, those that build in other folders. Steps of the lane `first` run before both, those of `last` after
# them, alone. A step that fails does not stop the others: each runs in a shell of its own, with a temporary folder `$scratch`, and
# builds what it needs. A step that cannot run here calls `skip_step REASON`.

# Exit status of a skipped step, as in Automake.
readonly SKIPPED=77
# No step starts, and none that uses `limited` goes on, after so many seconds.
time_limit=
step_names=() step_guards=() step_lanes=()

step() {
    step_names+=("$1") step_guards+=("$2") step_lanes+=("${3:-debug}")
}

# Ends the step as skipped. With ROUNDTRIP_SKIP_NOTHING set, this is an error.
skip_step() {
    echo "skipped: $*"
    [ -z "${ROUNDTRIP_SKIP_NOTHING:-}" ] || exit 1
    exit "$SKIPPED"
}

# Debian packages that tests and trials need, as COMMAND:PACKAGE, or FILE:PACKAGE for one without a command.
test_tools=(
    socat:socat ncat:ncat nc:netcat-openbsd ip:iproute2 valgrind:valgrind cc:gcc setpriv:util-linux groff:groff-base
    script:bsdutils redis-cli:redis-tools redis-server:redis-server openssl:openssl patch:patch c++:g++
    curl:curl ab:apache2-utils wrk:wrk /usr/lib/python3/dist-packages/h11:python3-h11
    /usr/lib/python3/dist-packages/jsonschema:python3-jsonschema
)

# has_packages COMMAND:PACKAGE...: whether all these commands, and files by their whole path, are there; else
# `missing_packages` holds the packages of the others.
has_packages() {
    local pair
    missing_packages=()
    for pair in "$@"; do
        case $pair in
            /*) [ -e "${pair%%:*}" ] ;;
            *) PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null ;;
        esac || missing_packages+=("${pair##*:}")
    done
    [ ${#missing_packages[@]} = 0 ]
}

# install_packages COMMAND:PACKAGE...: installs the packages of what is missing. Fails without root or apt-get.
install_packages() {
    has_packages "$@" && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing_packages[@]}" >/dev/null
}

# limited MINUTES COMMAND...: with a time limit, and never beyond that of the whole run.
limited() {
    local seconds=$(($1 * 60))
    if [ -n "$time_limit" ] && [ $((time_limit - SECONDS)) -lt "$seconds" ]; then seconds=$((time_limit - SECONDS)); fi
    # To timeout(1), 0 seconds are no limit.
    [ "$seconds" -gt 0 ] || { echo "out of time: $2" >&2; return 124; }
    timeout --kill-after=10 "$seconds" "${@:2}"
}

list_steps() {
    local index
    for index in "${!step_names[@]}"; do
        printf '%-18s %s\n' "${step_names[index]}" "${step_guards[index]}"
    done
}

# Whether a name is one of a step.
is_step() {
    local name
    for name in "${step_names[@]}"; do
        [ "$name" != "$1" ] || return 0
    done
    return 1
}

# processor_seconds NAME: sets $processor_seconds to what the children of this shell have used; NAME is of the step.
processor_seconds() {
    # Not in `$(...)`, which would be a shell of its own, without children.
    times >"$work/$1.times"
    processor_seconds=$(awk -F'[ms ]+' 'NR == 2 { printf "%d", 60 * ($1 + $3) + $2 + $4 }' "$work/$1.times")
}

# run_step NAME: one step, its output in one piece; seconds, processor seconds and result go to $work/NAME.
run_step() {
    local name=$1 began=$SECONDS status=0 result scratch processor_seconds used
    if [ -n "$time_limit" ] && [ "$SECONDS" -ge "$time_limit" ]; then
        echo '0 0 not run: out of time' >"$work/$name"
        return
    fi
    echo "== $name starts after $SECONDS s"
    scratch=$(mktemp -d)
    processor_seconds "$name"
    used=$processor_seconds
    # Not in a condition: there `set -e` would mean nothing inside the step.
    set +e
    (
        set -euo pipefail
        "step_${name//-/_}"
    ) >"$work/$name.log" 2>&1 </dev/null
    status=$?
    set -e
    rm -rf "$scratch"
    case $status in
        0) result=ok ;;
        "$SKIPPED") result=skipped ;;
        *) result="FAILED ($status)" ;;
    esac
    { printf '\n== %s: %s\n' "$name" "$result"; cat "$work/$name.log"; echo; }
    processor_seconds "$name"
    echo "$((SECONDS - began)) $((processor_seconds - used)) $result" >"$work/$name"
}

# run_lane LANE: its steps among $chosen, one after the other.
run_lane() {
    local index
    for index in "${!step_names[@]}"; do
        [ "${step_lanes[index]}" = "$1" ] || continue
        [[ " ${chosen[*]} " == *" ${step_names[index]} "* ]] || continue
        run_step "${step_names[index]}"
    done
}

run_steps() {
    local chosen=() name work
    for name in "$@"; do
        case $name in
            --list | --help | -h) list_steps; return ;;
        esac
        is_step "$name" || { echo "unknown step: $name; see --list" >&2; return 2; }
        chosen+=("$name")
    done
    [ ${#chosen[@]} -gt 0 ] || chosen=("${step_names[@]}")

    work=$(mktemp -d)
    run_lane first
    run_lane release & local release=$!
    run_lane debug
    wait "$release"
    run_lane last

    local seconds used result passed=0 failed=0 skipped=0
    printf '\n== %s\n' "$(git log -1 --format='%h %s')"
    printf '%-16s %8s %10s  %s\n' step seconds processor result
    for name in "${chosen[@]}"; do
        read -r seconds used result <"$work/$name"
        case $result in
            ok) passed=$((passed + 1)) ;;
            skipped) skipped=$((skipped + 1)) ;;
            *) failed=$((failed + 1)) ;;
        esac
        printf '%-16s %8d %10d  %s\n' "$name" "$seconds" "$used" "$result"
    done
    rm -rf "$work"
    printf '%-16s %8d\n' total "$SECONDS"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

# Runs named steps one after the other; sourced by `.ci/run` and `.ci/nightly`.
#
#   step NAME 'what it guards'    declares a step; the function `step_NAME` (with _ for -) is what it runs
#   run_steps "$@"                runs the steps that the arguments name, or all; prints a table; fails if one has failed
#
# A step that fails does not stop the others: each runs in a shell of its own and builds what it needs. A step that cannot
# run here calls `skip_step REASON`.

readonly SKIPPED=77
step_names=() step_guards=()

step() {
    step_names+=("$1") step_guards+=("$2")
}

# Ends the step as skipped. An error where nothing may be skipped.
skip_step() {
    echo "skipped: $*"
    [ -z "${ROUNDTRIP_SKIP_NOTHING:-}" ] || exit 1
    exit "$SKIPPED"
}

# Debian packages of the programs that tests and trials talk to, as COMMAND:PACKAGE.
test_tools=(
    socat:socat ncat:ncat nc:netcat-openbsd ip:iproute2 valgrind:valgrind cc:gcc setpriv:util-linux groff:groff-base
    script:bsdutils redis-cli:redis-tools openssl:openssl patch:patch
)

# has_packages COMMAND:PACKAGE...: whether all these commands are there; else `missing_packages` holds the packages of the
# others.
has_packages() {
    local pair
    missing_packages=()
    for pair in "$@"; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing_packages+=("${pair##*:}")
    done
    [ ${#missing_packages[@]} = 0 ]
}

# install_packages COMMAND:PACKAGE...: installs the packages of the commands that are missing. Fails without root or apt-get.
install_packages() {
    has_packages "$@" && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing_packages[@]}" >/dev/null
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

run_steps() {
    local chosen=() name
    for name in "$@"; do
        case $name in
            --list | --help | -h) list_steps; return ;;
        esac
        is_step "$name" || { echo "unknown step: $name; see --list" >&2; return 2; }
        chosen+=("$name")
    done
    [ ${#chosen[@]} -gt 0 ] || chosen=("${step_names[@]}")

    local began rows=() passed=0 failed=0 skipped=0 result status
    for name in "${chosen[@]}"; do
        printf '\n== %s (after %d s)\n' "$name" "$SECONDS"
        began=$SECONDS status=0
        # Not in a condition: there `set -e` would mean nothing inside the step.
        set +e
        (
            set -euo pipefail
            "step_${name//-/_}"
        )
        status=$?
        set -e
        case $status in
            0) result=ok passed=$((passed + 1)) ;;
            "$SKIPPED") result=skipped skipped=$((skipped + 1)) ;;
            *) result="FAILED ($status)" failed=$((failed + 1)) ;;
        esac
        rows+=("$(printf '%-18s %6d s  %s' "$name" $((SECONDS - began)) "$result")")
    done
    printf '\n== %s\n' "$(git log -1 --format='%h %s')"
    printf '%s\n' "${rows[@]}"
    printf '%-18s %6d s\n' total "$SECONDS"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

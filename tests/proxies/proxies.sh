#!/usr/bin/env bash
# Puts proxies on trial: what do they lose after a half-close? `roundtrip check` through nginx, HAProxy, socat, ncat and nc
# to an echo server of ours. Without arguments it makes five tries of each trial, which takes some five minutes, and
# writes docs/proxies.md; with `--quick` (two tries), `--tries N`, or the names of rows, it only prints. Exits with 1 if a
# proxy does not do what is expected of it, 2 if a trial itself fails, 3 if something that it needs is not here.
#
# It needs nginx with its stream module, haproxy, socat, ncat and netcat-openbsd, of Debian's packages, and installs what
# is missing if it is root (Debian then starts nginx and haproxy with configurations of its own: no matter here). It runs
# in a network of its own, so that all ports are free, and among processes of its own, so that none is left at the end.
#
#   tests/proxies/proxies.sh [--quick | --tries N] [ROW]...
set -euo pipefail

die() {
    echo "tests/proxies/proxies.sh: $2" >&2
    exit "$1"
}

#### Outside: what is needed, the program, a place to run in.

modules() {
    nginx -V 2>&1 | grep -o -e '--modules-path=[^ ]*' | cut -d= -f2
}

# The packages of what is not here, one a line.
missing() {
    local pair
    for pair in nginx:nginx haproxy:haproxy socat:socat ncat:ncat nc.openbsd:netcat-openbsd ip:iproute2; do
        command -v "${pair%:*}" > /dev/null || echo "${pair#*:}"
    done
    if ! command -v nginx > /dev/null || [ ! -e "$(modules)/ngx_stream_module.so" ]; then
        echo libnginx-mod-stream
    fi
}

need() {
    local packages
    mapfile -t packages < <(missing)
    [ ${#packages[@]} -gt 0 ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${packages[@]}")
        { "${install[@]}" || { apt-get update -qq && "${install[@]}"; }; } > /dev/null 2>&1 || true
        mapfile -t packages < <(missing)
        [ ${#packages[@]} -gt 0 ] || return 0
    fi
    die 3 "missing: ${packages[*]}"
}

outside() {
    export PATH="$PATH:/usr/sbin:/sbin"
    need
    local user=()
    [ "$(id -u)" = 0 ] || user=(--map-current-user --keep-caps)
    local place=(unshare "${user[@]}" --net --mount-proc --pid --fork --kill-child)
    "${place[@]}" ip link set lo up || die 3 "no network of its own can be made here: that needs root, or user namespaces"

    cd "$(dirname "$0")/../.."
    cargo build --release --quiet -p roundtrip
    folder=$(mktemp -d)
    inside=
    # `unshare` takes all that runs inside with it.
    trap '[ -z "$inside" ] || { kill -KILL "$inside" && wait "$inside"; } 2> /dev/null || true; rm -rf "$folder"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    ROUNDTRIP_PROXIES=$folder "${place[@]}" bash tests/proxies/proxies.sh "$@" &
    inside=$!
    local status=0
    wait "$inside" || status=$?
    inside=
    exit "$status"
}

[ -n "${ROUNDTRIP_PROXIES-}" ] || outside "$@"

#### The rows. One that is called `a-b` is started by `start_a_b`: it listens on $port, passes on to $server, and says
#### with `run` what runs, in a folder of its own. What is expected comes in the order of the trials.

declare -A title expected fix
rows=()

row() { # NAME, EXPECTED, TITLE, FIX
    rows+=("$1")
    expected[$1]=$2 title[$1]=$3 fix[$1]=$4
}

run() {
    setsid "$@" > log 2>&1 < /dev/null &
    pid=$!
}

row none 'pass pass pass' 'no proxy' ''
start_none() { port=${server#*:}; }

nginx_docs=https://nginx.org/en/docs/stream/ngx_stream_proxy_module.html
with_nginx() { # DIRECTIVES
    cat > nginx.conf <<CONF
daemon off;
pid nginx.pid;
error_log error.log;
load_module $(modules)/ngx_stream_module.so;
events {}
stream {
    server {
        listen 127.0.0.1:$port;
        proxy_pass $server;
        $1
    }
}
CONF
    run nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.log"
}
row nginx 'any fail fail' 'nginx, `stream`, as it comes' "[\`proxy_half_close on;\`]($nginx_docs#proxy_half_close)"
start_nginx() { with_nginx ''; }
row nginx-half-close 'pass pass pass' 'nginx, `proxy_half_close on;`' ''
start_nginx_half_close() { with_nginx 'proxy_half_close on;'; }
row nginx-timeout 'any any any' 'nginx, `proxy_half_close on; proxy_timeout 1s;`' \
    "[\`proxy_timeout\`]($nginx_docs#proxy_timeout) longer than the server thinks; it is 10m if not set"
start_nginx_timeout() { with_nginx 'proxy_half_close on; proxy_timeout 1s;'; }

haproxy_docs=https://docs.haproxy.org/2.6/configuration.html
with_haproxy() { # LINE
    cat > haproxy.cfg <<CONF
defaults
    mode tcp
    timeout connect 5s
    timeout client 50s
    timeout server 50s
listen proxy
    bind 127.0.0.1:$port
    server echo $server
    $1
CONF
    run haproxy -db -f "$PWD/haproxy.cfg"
}
row haproxy 'pass pass pass' 'HAProxy, `mode tcp`, `timeout connect 5s`, `client 50s`, `server 50s`' ''
start_haproxy() { with_haproxy ''; }
row haproxy-client-fin 'any any any' 'HAProxy, the same and `timeout client-fin 1s`' ''
start_haproxy_client_fin() { with_haproxy 'timeout client-fin 1s'; }
row haproxy-server-fin 'any any any' 'HAProxy, the same and `timeout server-fin 1s`' \
    "[\`timeout server-fin\`]($haproxy_docs#4.2-timeout%20server-fin) longer than the server thinks, or none"
start_haproxy_server_fin() { with_haproxy 'timeout server-fin 1s'; }
row haproxy-nolinger 'any any any' 'HAProxy, the same and `option nolinger`' \
    "no [\`option nolinger\`]($haproxy_docs#4.2-option%20nolinger)"
start_haproxy_nolinger() { with_haproxy 'option nolinger'; }

socat_docs=http://www.dest-unreach.org/socat/doc/socat.html
row socat 'any any any' '`socat TCP-LISTEN:…,fork TCP:…`' \
    "[\`-t\`]($socat_docs#OPTIONS) longer than the server thinks; it is 0.5 s if not given"
start_socat() { run socat "TCP-LISTEN:$port,bind=127.0.0.1,fork" "TCP:$server"; }
row socat-t60 'any any any' '`socat -t 60 TCP-LISTEN:…,fork TCP:…`' ''
start_socat_t60() { run socat -t 60 "TCP-LISTEN:$port,bind=127.0.0.1,fork" "TCP:$server"; }

ncat_fix="another relay than [\`--sh-exec\`](https://nmap.org/book/ncat-man-command-options.html), whatever it runs"
row ncat-ncat 'any any any' '`ncat -lk … --sh-exec "ncat HOST PORT"`' "$ncat_fix"
start_ncat_ncat() { run ncat -lk 127.0.0.1 "$port" --sh-exec "ncat ${server/:/ }"; }
row ncat-nc 'any any any' '`ncat -lk … --sh-exec "nc -N HOST PORT"`' "$ncat_fix"
start_ncat_nc() { run ncat -lk 127.0.0.1 "$port" --sh-exec "nc.openbsd -N ${server/:/ }"; }

nc_fix="another relay, [\`-N\`](https://manpages.debian.org/bookworm/netcat-openbsd/nc_openbsd.1.en.html) or not"
with_nc() { # OPTIONS
    mkfifo back
    run bash -c 'nc.openbsd $1 -l 127.0.0.1 "$2" < back | nc.openbsd $1 127.0.0.1 "$3" > back' - "$1" "$port" "${server#*:}"
}
row nc 'any any any' '`nc -l` and `nc`, joined by a pipe and a fifo' "$nc_fix"
start_nc() { with_nc ''; }
row nc-N 'any any any' '`nc -N -l` and `nc -N`, joined by a pipe and a fifo' "$nc_fix"
start_nc_N() { with_nc -N; }

#### The trials.

pause=2
trials=(flow window pause)
declare -A heading=(
    [flow]='10 MB, window 64 KiB'
    [window]='100 MB, window 16 MiB'
    [pause]="10 kB, server silent for $pause s"
)
declare -A options=(
    [flow]='--bytes 10MB'
    [window]='--bytes 100MB --window 16MiB'
    [pause]='--bytes 10kB'
)

# Waits for a state, and never for a time: `until_so SECONDS COMMAND...`
until_so() {
    local tries=$(($1 * 50))
    shift
    until "$@"; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.02
    done
}

# Whether somebody listens on a port: proc_net_tcp(5). Nobody connects, for some accept only once.
listens() {
    awk -v "port=$(printf ':%04X' "$1")" '$4 == "0A" && $2 ~ port "$" { found = 1 } END { exit !found }' /proc/net/tcp
}

stopped() { [[ $(< "/proc/$echo_server/stat") == *') T '* ]]; }

gone() { ! kill -0 -- "-$1" 2> /dev/null; }

end_proxy() {
    [ -n "$pid" ] || return 0
    kill -- "-$pid" 2> /dev/null || true
    until_so 5 gone "$pid" || kill -KILL -- "-$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
    pid=
}

# One try of a row's trial: `output` and `status` are what `check` came to.
try() { # ROW TRIAL
    local waker=
    next_port=$((next_port + 1)) port=$next_port pid=
    mkdir "$folder/$next_port"
    cd "$folder/$next_port"
    "start_${1//-/_}"
    until_so 10 listens "$port" || die 2 "$1 does not listen: $(cat log)"
    if [ "$2" = pause ]; then
        kill -STOP "$echo_server"
        until_so 10 stopped || die 2 "the server cannot be stopped"
        { sleep "$pause"; kill -CONT "$echo_server"; } &
        waker=$!
    fi
    status=0
    # shellcheck disable=SC2086
    output=$("$roundtrip" check "127.0.0.1:$port" ${options[$2]} --timeout 5s) || status=$?
    [ -z "$waker" ] || wait "$waker"
    end_proxy
    cd "$root"
    rm -r "${folder:?}/$next_port"
    case $status in
        0 | 1 | 3) ;;
        *) die 2 "$1, $2: check exits with $status: $output" ;;
    esac
}

grouped() { sed -E ':a; s#([0-9])([0-9]{3})(,|$)#\1,\2\3#; ta' <<< "$1"; }

#### All of it.

tries=5 write=yes chosen=()
while [ $# -gt 0 ]; do
    write=
    case $1 in
        --quick) tries=2 ;;
        --tries) tries=${2:?} && shift ;;
        *) [ -n "${title[$1]-}" ] || die 2 "no row is called $1; there are: ${rows[*]}" && chosen+=("$1") ;;
    esac
    shift
done
[ ${#chosen[@]} -gt 0 ] || chosen=("${rows[@]}")

root=$PWD
folder=$ROUNDTRIP_PROXIES
roundtrip=$(realpath "${CARGO_TARGET_DIR:-target}")/release/roundtrip
next_port=10000 pid=
trap 'exit 130' INT
trap 'exit 143' TERM
ip link set lo up

"$roundtrip" serve 127.0.0.1:0 > "$folder/serve" 2> "$folder/drain" &
echo_server=$!
until_so 10 grep -q '^listening tcp ' "$folder/serve" || die 2 "no echo server"
server=$(sed -n 's/^listening tcp //p' "$folder/serve")

table="| proxy | ${heading[flow]} | ${heading[window]} | ${heading[pause]} | what helps |
| --- | --- | --- | --- | --- |"
failures=
unexpected=()
for name in "${chosen[@]}"; do
    line="| ${title[$name]}"
    declare -A kinds=()
    shown=
    read -ra wanted <<< "${expected[$name]}"
    for index in "${!trials[@]}"; do
        trial=${trials[$index]}
        passed=0 slowest=0 most=-1 said=
        for ((n = 0; n < tries; n++)); do
            try "$name" "$trial"
            echo "$name, $trial: ${output%%$'\n'*}" >&2
            if [ "$status" = 0 ]; then
                passed=$((passed + 1))
                took=${output##*, } && took=${took% s}
                slowest=$(printf '%s\n' "$slowest" "$took" | sort -g | tail -n 1)
            else
                kind=${output#FAIL  } && kind=${kind%%:*}
                [[ ", $said, " == *", $kind, "* ]] || said=${said:+$said, }$kind
                if [[ $output =~ ([0-9,]+)\ of\ ([0-9,]+)\ bytes\ came\ back ]]; then
                    short=$((${BASH_REMATCH[2]//,/} - ${BASH_REMATCH[1]//,/}))
                    [ "$short" -le "$most" ] || most=$short
                fi
                # The first of its kind.
                [ -n "${kinds[$kind]-}" ] || shown+=$output$'\n'
                kinds[$kind]=yes
            fi
            case ${wanted[$index]}:$status in
                any:* | pass:0 | fail:1) ;;
                *) unexpected+=("$name, $trial: expected to ${wanted[$index]}, exit $status") ;;
            esac
        done
        cell="$passed of $tries"
        [ "$passed" = "$tries" ] || cell="**$cell**"
        [ "$passed" = 0 ] || cell+=", $(printf '%.2f' "$slowest") s"
        [ -z "$said" ] || cell+="; $said"
        [ "$most" -lt 0 ] || cell+=", $(grouped "$most") bytes missing"
        line+=" | $cell"
    done
    table+=$'\n'"$line | ${fix[$name]} |"
    [ -z "$shown" ] || failures+=$'\n'"${title[$name]}:"$'\n\n```\n'"$shown"$'```\n'
    unset kinds
done

kill "$echo_server"
wait "$echo_server" || true

versions="nginx $(nginx_version=$(nginx -v 2>&1); echo "${nginx_version##*/}"),\
 HAProxy $(haproxy -v | awk 'NR == 1 { print $3 }'),\
 socat $(socat -V | awk '/^socat version/ { print $3 }'),\
 ncat $(ncat --version 2>&1 | awk '{ print $3; exit }'),\
 nc of netcat-openbsd $(dpkg-query -W -f '${Version}' netcat-openbsd), $(uname -sr)"

if [ -z "$write" ]; then
    printf '%s\n\n%s\n%s' "$table" "$versions" "$failures"
else
    cat > docs/proxies.md <<DOC
# Proxies

A client that has sent everything half-closes: its FIN says that nothing more comes, and not that it is gone. A proxy that
takes the one for the other, or soon loses patience, drops what is still on its way back. Measured on the loopback, with
\`roundtrip serve\` behind each proxy and \`roundtrip check\` before it, $tries tries each:

\`\`\`
tests/proxies/proxies.sh
\`\`\`

$table

How many tries passed, and the slowest of those; then what \`check\` said of the others, and the most that one of them missed.
All with \`--timeout 5s\`, and with these:

| trial | \`roundtrip check HOST:PORT\` … | while |
| --- | --- | --- |
| ${heading[flow]} | \`${options[flow]}\` | |
| ${heading[window]} | \`${options[window]}\` | |
| ${heading[pause]} | \`${options[pause]}\` | the server is stopped, and goes on $pause s after the start |

$versions.

In other runs, beside other work on the same two cores, HAProxy without further options reset one client of 20, one of 60
and none of 256 that had 16 MiB under way; why is not known. With little beside it, it reset none of 120.

## What to look for

| what \`check\` says | what the proxy does |
| --- | --- |
| \`peer closed early\`, FIN a few ms after ours | it closes both ways when one is at its end |
| \`peer closed early\`, FIN after a round number of seconds, or of half seconds | that is a timeout of its configuration |
| \`connection reset\` | it closes both ways, and throws away what it has already taken |
| \`timed out\`, the rest did not come | it is stuck, both ways |

The more is on its way when the client's FIN comes, the surer is the finding: a large \`--window\`, or a server that takes its
time. An \`ok\` with the default window says little about a path with short delays.

## What \`check\` said

The first of each kind, as printed.
$failures
DOC
    # One line end at the end of the file.
    sed -i -e :a -e '/^\n*$/{$d;N;ba' -e '}' docs/proxies.md
    echo "wrote docs/proxies.md"
fi
if [ ${#unexpected[@]} -gt 0 ]; then
    printf 'unexpected: %s\n' "${unexpected[@]}" >&2
    exit 1
fi

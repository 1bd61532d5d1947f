#!/usr/bin/env bash
# Puts proxies, tunnels and a NAT on trial: what do they lose after a half-close? `roundtrip check` through each to an echo
# server of ours. Without arguments it makes five tries of each trial, which takes some five minutes, and
# writes docs/proxies.md; with `--quick` (two tries), `--tries N`, or the names of rows, it only prints. Exits with 1 if a
# proxy does not do what is expected of it, 2 if a trial itself fails, 3 if something that it needs is not here.
#
# It needs the packages of Debian that `missing` names, and installs what is missing if it is root (Debian then starts some of
# them with configurations of their own: no matter here). It runs
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
    for pair in nginx:nginx haproxy:haproxy socat:socat ncat:ncat nc.openbsd:netcat-openbsd ip:iproute2 sslh:sslh rinetd:rinetd \
        redir:redir simpleproxy:simpleproxy pen:pen 6tunnel:6tunnel stunnel4:stunnel4 hitch:hitch sshd:openssh-server \
        ssh:openssh-client tinyproxy:tinyproxy squid:squid mitmdump:mitmproxy microsocks:microsocks danted:dante-server ser2net:ser2net nft:nftables \
        systemd-socket-activate:systemd openssl:openssl; do
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
#### with `run` what runs, in a folder of its own. What is expected comes in the order of the trials. `$inner` is a port beside
# $port, for what stands between; `$extra` are further options of `check`.

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

## Relays.

no_option='another relay, or clients that do not half-close: it has no option for this'

row sslh 'any any fail' '`sslh -f … --anyprot`' "$no_option"
start_sslh() { run sslh -f -p "127.0.0.1:$port" --anyprot "$server"; }
row rinetd 'any any fail' 'rinetd' "$no_option"
start_rinetd() {
    echo "127.0.0.1 $port 127.0.0.1 ${server#*:}" > rinetd.conf
    run rinetd -f -c rinetd.conf
}
row redir 'any any fail' '`redir -n :… HOST:…`' "$no_option"
start_redir() { run redir -n "127.0.0.1:$port" "$server"; }
row simpleproxy 'any any fail' '`simpleproxy -L … -R …`' "$no_option"
start_simpleproxy() { run simpleproxy -L "127.0.0.1:$port" -R "$server"; }
row pen 'any any any' '`pen -f …`' "$no_option"
start_pen() { run pen -f "127.0.0.1:$port" "$server"; }
row 6tunnel 'any any fail' '`6tunnel -4 …`' "$no_option"
start_6tunnel() { run 6tunnel -d -4 -l 127.0.0.1 "$port" 127.0.0.1 "${server#*:}"; }
row systemd-socket-proxyd 'any any fail' 'systemd-socket-proxyd' "$no_option"
start_systemd_socket_proxyd() {
    run systemd-socket-activate -l "127.0.0.1:$port" /lib/systemd/systemd-socket-proxyd "$server"
}

## TLS on the way, and at its end.

certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out ca.pem -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE 2> openssl.log
    cat key.pem ca.pem > both.pem
}
# TLS from $port to $inner, and from there plain.
with_stunnel() { # LINE
    certificate
    cat > stunnel.conf <<CONF
foreground = yes
pid =
[out]
client = yes
accept = 127.0.0.1:$port
connect = 127.0.0.1:$inner
$1
[in]
accept = 127.0.0.1:$inner
connect = $server
cert = $PWD/both.pem
$1
CONF
    run stunnel4 stunnel.conf
    until_so 10 listens "$inner"
}
row stunnel 'pass pass pass' 'stunnel at both ends' ''
start_stunnel() { with_stunnel ''; }
row stunnel-timeout 'any fail fail' 'stunnel at both ends, `TIMEOUTclose = 0`' 'a longer `TIMEOUTclose`, or none: it is 60 s if not set'
start_stunnel_timeout() { with_stunnel 'TIMEOUTclose = 0'; }
row hitch 'any any fail' 'hitch, and `check --tls-ca`' "$no_option"
start_hitch() {
    certificate
    extra="--tls-ca $PWD/ca.pem --tls-name localhost"
    run hitch --frontend="[127.0.0.1]:$port" --backend="[127.0.0.1]:${server#*:}" --user=nobody both.pem
}

## Tunnels, of which the first program speaks the protocol of the second.

row ssh 'pass pass pass' 'OpenSSH, `ssh -L`' ''
start_ssh() {
    ssh-keygen -q -t ed25519 -N '' -f key
    ssh-keygen -q -t ed25519 -N '' -f host
    chmod 700 .
    mkdir -p /run/sshd
    printf '%s\n' "ListenAddress 127.0.0.1:$inner" "HostKey $PWD/host" "AuthorizedKeysFile $PWD/key.pub" 'StrictModes no' \
        'PermitRootLogin yes' 'UsePAM no' 'PidFile none' > sshd.conf
    run bash -c '/usr/sbin/sshd -D -e -f sshd.conf & until ssh -N -F none -i key -o BatchMode=yes -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o ExitOnForwardFailure=yes -p "$1" -L "127.0.0.1:$2:$3" 127.0.0.1; do sleep 0.1; done' \
        - "$inner" "$port" "$server"
}
# COMMAND... listens on $inner; $1 is the address of socat that speaks its protocol.
behind_socat() {
    local address=$1
    shift
    run bash -c '"${@:3}" & exec socat -t 60 "TCP-LISTEN:$1,bind=127.0.0.1,fork" "$2"' - "$port" "$address" "$@"
    until_so 10 listens "$inner"
}
row tinyproxy 'any any fail' 'tinyproxy, CONNECT by `socat -t 60`' "$no_option"
start_tinyproxy() {
    printf '%s\n' "Port $inner" 'Listen 127.0.0.1' 'Timeout 600' "LogFile \"$PWD/tinyproxy.log\"" > tinyproxy.conf
    behind_socat "PROXY:127.0.0.1:$server,proxyport=$inner" tinyproxy -d -c tinyproxy.conf
}
row squid 'any any fail' 'squid, CONNECT by `socat -t 60`' "$no_option"
start_squid() {
    chmod 777 .
    printf '%s\n' "http_port 127.0.0.1:$inner" 'http_access allow all' 'cache deny all' "pid_filename $PWD/squid.pid" \
        "access_log none" "cache_log $PWD/squid.log" "coredump_dir $PWD" 'shutdown_lifetime 0 seconds' > squid.conf
    behind_socat "PROXY:127.0.0.1:$server,proxyport=$inner" squid -N -f "$PWD/squid.conf"
}
row mitmproxy 'fail fail fail' 'mitmproxy, `--mode reverse:… --tcp-hosts .*`' "$no_option"
start_mitmproxy() {
    # It keeps an authority of its own there.
    HOME=$PWD run mitmdump -q --listen-host 127.0.0.1 -p "$port" --mode "reverse:http://$server" --tcp-hosts '.*'
}
row microsocks 'any any any' 'microsocks, SOCKS 5 by `ncat --proxy`' "$no_option"
start_microsocks() {
    # socat of Debian 12 speaks SOCKS 4, and microsocks 5: ncat speaks both.
    run bash -c 'microsocks -i 127.0.0.1 -p "$1" & exec socat -t 60 "TCP-LISTEN:$2,bind=127.0.0.1,fork" \
        "EXEC:ncat --proxy 127.0.0.1\:$1 --proxy-type socks5 ${3/:/ }"' - "$inner" "$port" "$server"
    until_so 10 listens "$inner"
}
row dante 'pass pass pass' 'dante, SOCKS 4 by `socat -t 60`' ''
start_dante() {
    printf '%s\n' "logoutput: $PWD/dante.log" "internal: 127.0.0.1 port = $inner" 'external: lo' 'clientmethod: none' \
        'socksmethod: none' 'user.privileged: root' 'user.unprivileged: nobody' 'client pass { from: 0/0 to: 0/0 }' \
        'socks pass { from: 0/0 to: 0/0 }' > danted.conf
    behind_socat "SOCKS4:127.0.0.1:$server,socksport=$inner" danted -f danted.conf
}

## A serial line, and the kernel alone.

row ser2net 'any any fail' 'ser2net, and `socat PTY,raw TCP:…` at the other end of the line' 'clients that do not half-close: a serial line has no end'
start_ser2net() {
    printf '%s\n' 'connection: &line' "  accepter: tcp,127.0.0.1,$port" "  connector: serialdev,$PWD/tty,115200n81,local" > ser2net.yaml
    run bash -c 'socat "PTY,link=tty,raw,echo=0,wait-slave" "TCP:$1" & until [ -e tty ]; do sleep 0.02; done
        exec ser2net -n -d -u -c ser2net.yaml' - "$server"
}
row nft 'pass pass pass' 'a NAT of nftables' ''
start_nft() {
    run sleep 1000
    nft flush ruleset
    nft add table ip nat
    nft 'add chain ip nat output { type nat hook output priority -100; }'
    nft add rule ip nat output tcp dport "$port" dnat to "$server"
    port_to_await=${server#*:}
}

#### The trials.

pause=2
trials=(flow window pause plain)
declare -A heading=(
    [flow]='10 MB, window 64 KiB'
    [window]='100 MB, window 16 MiB'
    [pause]="10 kB, server silent for $pause s"
    [plain]='10 MB, no half-close'
)
declare -A options=(
    [flow]='--bytes 10MB'
    [window]='--bytes 100MB --window 16MiB'
    [pause]='--bytes 10kB'
    [plain]='--bytes 10MB --half-close off'
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
    next_port=$((next_port + 1)) port=$next_port inner=$((next_port + 10000)) extra= pid= port_to_await=
    mkdir "$folder/$next_port"
    cd "$folder/$next_port"
    "start_${1//-/_}"
    until_so 10 listens "${port_to_await:-$port}" || die 2 "$1 does not listen: $(cat log)"
    if [ "$2" = pause ]; then
        kill -STOP "$echo_server"
        until_so 10 stopped || die 2 "the server cannot be stopped"
        { sleep "$pause"; kill -CONT "$echo_server"; } &
        waker=$!
    fi
    status=0
    # shellcheck disable=SC2086
    output=$("$roundtrip" check "127.0.0.1:$port" ${options[$2]} $extra --timeout 5s) || status=$?
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
# Programs that ask for the addresses of a family that is configured (AI_ADDRCONFIG of getaddrinfo(3)) do not count 127.0.0.1.
ip address add 192.0.2.1/32 dev lo

"$roundtrip" serve 127.0.0.1:0 > "$folder/serve" 2> "$folder/drain" &
echo_server=$!
until_so 10 grep -q '^listening tcp ' "$folder/serve" || die 2 "no echo server"
server=$(sed -n 's/^listening tcp //p' "$folder/serve")

table="| proxy | ${heading[flow]} | ${heading[window]} | ${heading[pause]} | ${heading[plain]} | what helps |
| --- | --- | --- | --- | --- | --- |"
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
                [[ ${output%%$'\n'*} =~ ,\ ([0-9.]+)\ s, ]] && took=${BASH_REMATCH[1]}
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
            # Each is to pass what does not half-close.
            case ${wanted[$index]-pass}:$status in
                any:* | pass:0 | fail:[13]) ;;
                *) unexpected+=("$name, $trial: expected to ${wanted[$index]-pass}, exit $status") ;;
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

versions="Debian's $(dpkg-query -W -f '${Package} ${Version}, ' nginx haproxy socat ncat netcat-openbsd sslh rinetd redir simpleproxy \
    pen 6tunnel systemd stunnel4 hitch openssh-server tinyproxy squid mitmproxy microsocks dante-server ser2net nftables)$(uname -sr)"

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
| ${heading[plain]} | \`${options[plain]}\` | |
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

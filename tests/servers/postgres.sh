#!/usr/bin/env bash
# A PostgreSQL server of its own in a folder: `start` makes it, `restart` cuts off whoever is connected, `stop` ends it.
# User postgres, no password, on 127.0.0.1 alone. `programs` says where the programs are.
set -euo pipefail

if [[ $# != 3 && $* != programs ]]; then
    echo "usage: $0 start|restart|stop FOLDER PORT, or $0 programs" >&2
    exit 64
fi
action=$1
folder=${2:-}
port=${3:-}
data=$folder/postgres
ready_within_seconds=60

# The newest of the programs that Debian keeps outside of PATH, or those on PATH.
initdb=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort --version-sort | tail -n 1)
initdb=${initdb:-$(command -v initdb || true)}
if [[ -z $initdb ]]; then
    echo "the programs of a PostgreSQL server are not here: install them (Debian: apt-get install postgresql)" >&2
    exit 69
fi
bin=${initdb%/initdb}

# PostgreSQL refuses to be run by root.
unprivileged() {
    if [[ $(id -u) != 0 ]]; then
        "$@"
    elif id postgres >/dev/null 2>&1; then
        runuser -u postgres -- "$@"
    else
        runuser -u nobody -- "$@"
    fi
}

# What the tests keep here need not outlive the machine's power.
options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=300"

cd /
case $action in
programs)
    echo "$bin"
    ;;
start)
    if [[ $(id -u) == 0 ]]; then
        # Its user must reach the folder, and make another one in it.
        chmod 777 "$folder"
    fi
    unprivileged "$bin/initdb" --pgdata="$data" --username=postgres --auth=trust --encoding=UTF8 --no-locale --no-sync >/dev/null
    unprivileged "$bin/pg_ctl" start --silent --wait --timeout="$ready_within_seconds" --pgdata="$data" \
        --log="$data/server.log" --options="$options" </dev/null >/dev/null
    ;;
restart)
    unprivileged "$bin/pg_ctl" restart --silent --wait --mode=fast --timeout="$ready_within_seconds" --pgdata="$data" \
        --log="$data/server.log" </dev/null >/dev/null
    ;;
stop)
    unprivileged "$bin/pg_ctl" stop --silent --mode=immediate --pgdata="$data"
    # What another user made, the caller might not be able to delete.
    unprivileged rm -rf "$data"
    ;;
*)
    echo "$0: \`$action\` is none of start, restart, stop, programs" >&2
    exit 64
    ;;
esac

#!/usr/bin/env bash
# Runs a command with PostgreSQL and Redis for its tests: TALLY_TEST_POSTGRES_URL and TALLY_TEST_REDIS_URL name them.
#
# Servers that listen on the standard ports of this machine are used where they let the tests in; else servers of its own
# are started on free ports, with folders of their own below the build folder, and stopped when the command has ended.
# STANDARD_POSTGRES_PORT and STANDARD_REDIS_PORT are other ports to look at. The servers' programs are installed where they
# are missing and that is allowed.
set -euo pipefail

if (($# == 0)); then
    echo "usage: $0 COMMAND…" >&2
    exit 64
fi
servers=$(dirname "$(realpath "$0")")
host=127.0.0.1
postgres_port=${STANDARD_POSTGRES_PORT:-5432}
redis_port=${STANDARD_REDIS_PORT:-6379}
ready_within_seconds=60

work=
own_postgres_port=

say() { echo "== $*"; }

finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    stop_servers
    if [[ -n $work ]]; then
        rm -rf "$work"
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

stop_servers() {
    local pid pids
    if [[ -n $own_postgres_port ]]; then
        "$servers/postgres.sh" stop "$work" "$own_postgres_port" || true
    fi
    pids=$(jobs -p)
    for pid in $pids; do
        # Again until it is gone: a server that has only just begun does not hear it yet.
        while kill -INT "$pid" 2>/dev/null; do
            sleep 0.1
        done
    done
    if [[ -n $pids$own_postgres_port ]]; then
        say "stopped the tests' own servers"
    fi
}

redis_answers() {
    local answer=
    exec 3<>"/dev/tcp/$host/$1" || return 1
    printf 'PING\r\n' >&3
    read -r -t 3 answer <&3 || true
    exec 3>&-
    [[ $answer == +PONG* ]]
} 2>/dev/null

# The user that may log in without a password and make schemas; fails where there is none.
postgres_user() {
    local user
    command -v psql >/dev/null || return 1
    for user in postgres "$(id -un)"; do
        if [[ $(PGCONNECT_TIMEOUT=3 psql --no-psqlrc --no-password --tuples-only --no-align \
            --host="$host" --port="$1" --username="$user" --dbname=postgres \
            --command="select has_database_privilege('postgres', 'create')" 2>/dev/null) == t ]]; then
            echo "$user"
            return
        fi
    done
    return 1
}

free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 12000))
        if ! (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

install() {
    local as_root=()
    if [[ $(id -u) != 0 ]]; then
        as_root=(sudo -n)
    fi
    if ! command -v apt-get >/dev/null || ! { [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null; }; then
        echo "the tests need $2: start it on $host:$3, open to the tests, or install it so that they can start their own (Debian: apt-get install $1)" >&2
        exit 1
    fi
    say "installing $1 from the distribution's packages"
    "${as_root[@]}" apt-get update -qq
    # At this runlevel the packages' own services are not started.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$1" >/dev/null
}

# A folder that another user can reach, as the one that PostgreSQL runs as.
make_work() {
    local build
    if [[ -n $work ]]; then
        return
    fi
    build=$(realpath -m "${CARGO_TARGET_DIR:-target}")/servers
    mkdir -p "$build"
    work=$(mktemp -d "$build/XXXXXX")
    chmod 755 "$work"
    if [[ $(id -u) == 0 ]] && ! runuser -u nobody -- test -x "$work"; then
        rm -rf "$work"
        work=$(mktemp -d)
        chmod 755 "$work"
    fi
}

own_redis() {
    local deadline=$((SECONDS + ready_within_seconds))
    make_work
    redis_port=$(free_port)
    # In a session of its own: what interrupts the tests must not stop it before they have ended.
    setsid redis-server --bind "$host" --port "$redis_port" --dir "$work" --save '' --appendonly no \
        </dev/null >"$work/redis.log" 2>&1 &
    until redis_answers "$redis_port"; do
        if ! kill -0 $! 2>/dev/null || ((SECONDS >= deadline)); then
            echo "Redis does not answer; the last lines of its log:" >&2
            tail -n 20 "$work/redis.log" >&2
            exit 1
        fi
        sleep 0.1
    done
    say "started the tests' own Redis on port $redis_port"
}

own_postgres() {
    make_work
    postgres_port=$(free_port)
    "$servers/postgres.sh" start "$work" "$postgres_port"
    own_postgres_port=$postgres_port
    say "started the tests' own PostgreSQL on port $postgres_port"
}

# Whatever listens already: some tests start servers that they may stop.
command -v redis-server >/dev/null || install redis-server Redis "$redis_port"
"$servers/postgres.sh" programs >/dev/null || install postgresql PostgreSQL "$postgres_port"

if [[ -n ${TALLY_TEST_REDIS_URL:-} ]]; then
    say "Redis is the one that TALLY_TEST_REDIS_URL names"
elif redis_answers "$redis_port"; then
    say "Redis is the one on port $redis_port"
else
    own_redis
fi
export TALLY_TEST_REDIS_URL=${TALLY_TEST_REDIS_URL:-redis://$host:$redis_port/0}

if [[ -n ${TALLY_TEST_POSTGRES_URL:-} ]]; then
    say "PostgreSQL is the one that TALLY_TEST_POSTGRES_URL names"
else
    if user=$(postgres_user "$postgres_port"); then
        say "PostgreSQL is the one on port $postgres_port, user $user"
    else
        own_postgres
        user=postgres
    fi
    export TALLY_TEST_POSTGRES_URL=postgres://$user@$host:$postgres_port/postgres
fi

"$@"

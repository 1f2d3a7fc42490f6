#!/usr/bin/env bash
# Starts Tally with its demo data on a free port, in a folder of its own, runs the lines that it prints, and then the
# Postman collection against it.
set -euo pipefail

if (($# != 2)); then
    echo "usage: $0 TALLY NEWMAN_FOLDER" >&2
    exit 64
fi
here=$(cd "$(dirname "$0")" && pwd)
collection=$here/../../docs/postman/tally.postman_collection.json
tally=$(realpath "$1")
newman=$(realpath "$2")/node_modules/.bin/newman
ready_within_seconds=180

work=$(mktemp -d)
server=

finish() {
    local status=$?
    trap - EXIT
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if ((status != 0)) && [[ -s $work/log ]]; then
        echo "== the last lines of the server's log" >&2
        tail -n 40 "$work/log" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

demo() {
    node -p 'JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))[process.argv[2]]' "$work/data/demo.json" "$1"
}

is_ready() {
    [[ -s $work/data/demo.json ]] && "$tally" ping --url "$(demo base_url)" >/dev/null 2>&1
}

# Port 0: the system chooses, and demo.json tells what it chose.
(
    cd "$work"
    TALLY_SERVER__BIND=127.0.0.1:0 exec "$tally" serve --demo
) </dev/null >"$work/log" 2>&1 &
server=$!

deadline=$((SECONDS + ready_within_seconds))
until is_ready; do
    if ! kill -0 "$server" 2>/dev/null; then
        echo "tally serve --demo ended before it was ready" >&2
        exit 1
    fi
    if ((SECONDS >= deadline)); then
        echo "tally serve --demo was not ready within $ready_within_seconds s" >&2
        exit 1
    fi
    sleep 0.2
done

# What the demo prints works when pasted. The token is in these lines: they are not shown unless one fails.
pasted() { grep -E '^  (job=|until |TALLY_AUTHTOKEN=|curl )' "$work/log" | sed 's/^  //'; }
until (($(pasted | wc -l) == 4)); do
    if ((SECONDS >= deadline)); then
        echo "tally serve --demo printed $(pasted | wc -l) lines to paste, not 4" >&2
        exit 1
    fi
    sleep 0.2
done
answers=$(bash -euo pipefail -c "$(pasted)" </dev/null)
for wanted in '"data":[' 'type  device' '"accepted":1'; do
    if [[ $answers != *"$wanted"* ]]; then
        echo "the lines that tally serve --demo printed do not answer with \`$wanted\`" >&2
        exit 1
    fi
done
echo "the lines that the demo prints work when pasted"

# The delay keeps below the rate limit of 10 requests a second.
"$newman" run "$collection" \
    --environment "$here/../../docs/postman/tally.postman_environment.json" \
    --env-var "base_url=$(demo base_url)" \
    --env-var "authtoken=$(demo authtoken)" \
    --env-var "orgUid=$(demo organization)" \
    --env-var "ingest_key=$(demo ingest_key)" \
    --env-var "email=$(demo email)" \
    --env-var "password=$(demo password)" \
    --delay-request 110 --timeout-request 10000 --timeout 600000 --color off </dev/null

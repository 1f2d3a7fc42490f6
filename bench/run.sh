#!/usr/bin/env bash
# Measures Tally beside its peers: installs these where they are missing, builds, and runs bench.py with what it is given.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
cd "$here/.."
build=$(realpath -m "${CARGO_TARGET_DIR:-target}")
profile=${TALLY_BENCH_PROFILE:-release}

need() {
    if command -v "$1" >/dev/null; then
        return
    fi
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "== $2, from the distribution's packages" >&2
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
        return
    fi
    echo "the benchmarks need $1: install it (Debian: apt-get install $2)" >&2
    exit 1
}

need python3 python3
python3 -c 'import ensurepip' 2>/dev/null || need python3-venv-is-missing python3-venv
if ! cmp -s "$here/requirements.txt" "$build/bench/installed.txt"; then
    echo "== the peers, into $build/bench" >&2
    mkdir -p "$build/bench"
    python3 -m venv "$build/bench/python"
    "$build/bench/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    # Last, so that an install that broke off is done again.
    cp "$here/requirements.txt" "$build/bench/installed.txt"
fi
if [[ $profile == release ]]; then
    need goaccess goaccess
    need wrk wrk
    cargo build --release --workspace --bins --bench jobs --bench plain_server
fi
exec "$build/bench/python/bin/python" "$here/bench.py" --build "$build" --profile "$profile" "$@"

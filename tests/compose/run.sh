#!/usr/bin/env bash
# Checks the compose files, and first that the check finds what is broken. Its packages are kept in the folder given.
set -euo pipefail

if (($# != 1)); then
    echo "usage: $0 FOLDER" >&2
    exit 64
fi
here=$(cd "$(dirname "$0")" && pwd)
folder=$1

is_new_enough() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python3 -c 'import ensurepip' 2>/dev/null
}

ensure_python() {
    if is_new_enough; then
        return
    fi
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "== Python, from the distribution's packages"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
    fi
    if ! is_new_enough; then
        echo "the check of the compose files needs Python 3.11 or later with its module venv: install it (Debian: apt-get install python3 python3-venv), then run this again" >&2
        exit 1
    fi
}

is_installed() {
    # The folder outlives the Python that it was made with.
    cmp -s "$here/requirements.txt" "$folder/installed-requirements.txt" && "$folder/bin/python" -c '' 2>/dev/null
}

ensure_python
if ! is_installed; then
    echo "== packages for the check of the compose files, into $folder"
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    # Last, so that an install that broke off is done again.
    cp "$here/requirements.txt" "$folder/installed-requirements.txt"
fi

export PYTHONDONTWRITEBYTECODE=1
"$folder/bin/python" -m unittest discover --start-directory "$here"
"$folder/bin/python" "$here/check.py" "$here/../.."

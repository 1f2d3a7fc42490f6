#!/usr/bin/env bash
# Installs newman, at the version that package-lock.json pins, into the folder given. Does nothing where it is there.
set -euo pipefail

if (($# != 1)); then
    echo "usage: $0 FOLDER" >&2
    exit 64
fi
here=$(cd "$(dirname "$0")" && pwd)
folder=$1

ensure_node() {
    if command -v node >/dev/null && command -v npm >/dev/null; then
        return
    fi
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "== Node.js and npm, from the distribution's packages"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
        return
    fi
    echo "newman needs Node.js 16 or later and npm on the PATH: install them, then run this again" >&2
    exit 1
}

ensure_node
if ! cmp -s "$here/package-lock.json" "$folder/installed-lock.json"; then
    echo "== newman, into $folder"
    mkdir -p "$folder"
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$folder/"
    npm ci --prefix "$folder" --no-progress --loglevel=error
    # Last, so that an install that broke off is done again.
    cp "$here/package-lock.json" "$folder/installed-lock.json"
fi

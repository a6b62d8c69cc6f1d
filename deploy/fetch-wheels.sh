#!/usr/bin/env bash
# Every locked run-time package as a wheel, checked against the lock's hashes, into WHEELS (default:
# build/wheels), with our own wheel and the lock beside them. Packages and images are made from there
# without a network.
#   usage: deploy/fetch-wheels.sh [WHEELS]
set -euo pipefail
cd "$(dirname "$0")/.."
wheels=$(mkdir -p "${1:-build/wheels}" && cd "${1:-build/wheels}" && pwd)
python=${PYTHON:-$PWD/.venv/bin/python}
exec 9> "$wheels/.lock"
flock 9 # several builds may share the directory
if ! cmp -s requirements.lock "$wheels/requirements.lock"; then
  rm -f "$wheels"/*.whl
  "$python" -m pip download --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
    --dest "$wheels" -r requirements.lock
  cp requirements.lock "$wheels/requirements.lock"
fi
fresh=$(mktemp -d "$wheels/.fresh-XXXXXX")
trap 'rm -rf "$fresh"' EXIT
PYTHON=$python deploy/build-dist.sh "$fresh" > /dev/null
ours=$(basename "$fresh"/seatrial-*.whl)
mv -f "$fresh/$ours" "$wheels/$ours" # at once: who installs it meanwhile has the old or the new
find "$wheels" -maxdepth 1 -name 'seatrial-*.whl' ! -name "$ours" -delete
echo "$wheels/$ours"

#!/usr/bin/env bash
# Wheel and source distribution of the committed tree, into DIST (default: dist/). Reproducible: the same
# commit gives the same bytes. Needs no network: the build backend comes from the virtual environment.
#   usage: deploy/build-dist.sh [DIST]           environment: COMMIT (default HEAD), PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
here=$PWD
python=${PYTHON:-$here/.venv/bin/python}
commit=$(git rev-parse "${COMMIT:-HEAD}^{commit}")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct "$commit")}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive --format=tar "$commit" | tar -x -C "$work"
cd "$work"
echo "$commit" > daemon/COMMIT
printf '%s\n' 'include daemon/COMMIT *.lock *.md LICENSE Makefile' 'graft deploy' 'graft docs' 'graft systemd' > MANIFEST.in
umask 022
chmod -R u=rwX,go=rX .
find . -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
"$python" "$here/deploy/pack_dist.py" "$dist"

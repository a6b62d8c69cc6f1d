#!/usr/bin/env bash
# The container image, from the committed tree and the locked wheels. Takes buildah, podman or docker,
# whichever is there. Nothing is fetched but the wheels and, unless it is already here, the base image.
#   usage: deploy/build-image.sh [TAG]            default: localhost/seatrial:latest
#   environment: BASE, RUNTIME (base images), WHEELS (default build/wheels), BUILDER, BUILDER_ARGS
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-localhost/seatrial:latest}
wheels=${WHEELS:-build/wheels}
builder=${BUILDER:-}
for one in podman buildah docker; do
  if [ -z "$builder" ] && command -v "$one" > /dev/null; then builder=$one; fi
done
if [ -z "$builder" ]; then
  echo "build-image: no podman, buildah or docker here; install one (Debian: buildah)" >&2
  exit 3
fi
COMMIT=$(git rev-parse "${COMMIT:-HEAD}^{commit}")
export COMMIT
deploy/fetch-wheels.sh "$wheels" > /dev/null
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/wheels"
cp "$wheels"/*.whl "$context/wheels/"
cp requirements.lock "$context/"
cp deploy/Containerfile "$context/"
git archive --format=tar "$COMMIT" deploy/caps | tar -x -C "$context" --strip-components=1
arguments=(--tag "$tag" --file "$context/Containerfile"
  --build-arg "COMMIT=$COMMIT"
  --build-arg "VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)")
[ -z "${BASE:-}" ] || arguments+=(--build-arg "BASE=$BASE")
[ -z "${RUNTIME:-}" ] || arguments+=(--build-arg "RUNTIME=$RUNTIME")
# docker's default format drops nothing; podman and buildah keep HEALTHCHECK only in docker's format.
[ "$builder" = docker ] || arguments+=(--format docker)
# shellcheck disable=SC2086 # BUILDER_ARGS is a list
"$builder" build ${BUILDER_ARGS:-} "${arguments[@]}" "$context"

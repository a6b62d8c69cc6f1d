#!/usr/bin/env bash
# The Debian package of the committed tree, into DIST (default dist/). Reproducible: the same commit on
# the same Debian gives the same bytes.
#   usage: deploy/build-deb.sh [DIST]
#   environment: DEB_COMPRESSION (default xz), COMMIT (default HEAD), DEB_VERSION (default: the project's version), WHEELS, TARGET_PYTHON, PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in dpkg-deb gzip; do
  command -v "$tool" > /dev/null || { echo "build-deb: $tool is not installed" >&2; exit 3; }
done
COMMIT=$(git rev-parse "${COMMIT:-HEAD}^{commit}")
export COMMIT
dist=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
version=${DEB_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}
architecture=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct "$COMMIT")}
export SOURCE_DATE_EPOCH
umask 022
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
deploy/stage-tree.sh "$root"

minor=$(basename "$root"/opt/seatrial/lib/python3.*)
minor=${minor#python}
doc=$root/usr/share/doc/seatrial
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n'
  printf 'Files: *\nCopyright: 2026 The seatrial founders\nLicense: Apache-2.0\n'
  printf ' See /usr/share/common-licenses/Apache-2.0 on Debian systems.\n\n'
  printf 'Files: /opt/seatrial/lib/*\nCopyright: their authors\nLicense: several\n'
  printf ' Each distribution carries its licence in its dist-info directory;\n'
  printf ' sbom.cdx.json beside this file lists them all.\n'
} > "$doc/copyright"
{
  printf 'seatrial (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n' "$version"
  printf ' -- The seatrial founders <founders@seatrial.invalid>  %s\n' \
    "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")"
} | gzip -9 --no-name > "$doc/changelog.gz"
install -D -m 0644 deploy/debian/lintian-overrides "$root/usr/share/lintian/overrides/seatrial"

# Of the files, as Debian's policy counts: a directory's own size depends on its history.
size=$(find "$root" -printf '%y %s\n' | awk '{ k += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print k }')
mkdir "$root/DEBIAN"
(cd "$root" && find etc -type f | sort | sed 's,^,/,') > "$root/DEBIAN/conffiles"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) \
  > "$root/DEBIAN/md5sums"
sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@PYTHON@/$minor/" \
  -e "s/@PYTHON_NEXT@/3.$((${minor#3.} + 1))/" \
  -e "s/@SIZE@/$size/" \
  deploy/debian/control.in > "$root/DEBIAN/control"
for script in postinst prerm postrm; do
  install -m 0755 "deploy/debian/$script" "$root/DEBIAN/$script"
done
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
made=$dist/seatrial_${version}_${architecture}.deb
dpkg-deb --root-owner-group "-Z${DEB_COMPRESSION:-xz}" --uniform-compression --build "$root" "$made" > /dev/null
echo "$made $(stat --format=%s "$made") bytes"

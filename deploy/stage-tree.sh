#!/usr/bin/env bash
# Lays everything of the commit that belongs on a testnet box under ROOT, as it will lie under /: a virtual environment
# in /opt/seatrial, units, man pages, cap presets, monitoring files, the bill of materials. Used by
# build-deb.sh and install.sh. Needs no network when the wheels are there (fetch-wheels.sh).
#   usage: deploy/stage-tree.sh ROOT
#   environment: COMMIT (default HEAD), WHEELS (default build/wheels), TARGET_PYTHON (default /usr/bin/python3): the
#   interpreter that will run it; PYTHON (default .venv/bin/python) must be of the same version and have pip;
#   STAGED (default build/staged, empty: none): where the installed dependencies of a lock are kept for the next run
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(mkdir -p "$1" && cd "$1" && pwd)
wheels=${WHEELS:-build/wheels}
python=${PYTHON:-$PWD/.venv/bin/python}
target=${TARGET_PYTHON:-/usr/bin/python3}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct "${COMMIT:-HEAD}")}
export SOURCE_DATE_EPOCH
umask 022

say_version='import sys; print("%d.%d" % sys.version_info[:2])'
minor=$("$target" -c "$say_version")
if [ "$("$python" -c "$say_version")" != "$minor" ]; then
  echo "stage-tree: $python is not Python $minor like $target, so its wheels would not fit;" \
    "make the environment with that one: make clean && make check PYTHON=$target" >&2
  exit 2
fi
deploy/fetch-wheels.sh "$wheels" > /dev/null
staged=${STAGED-$PWD/build/staged}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
git archive --format=tar "${COMMIT:-HEAD}" | tar -x -C "$tree"
wheels=$(cd "$wheels" && pwd)
cd "$tree"

# the environment: made by hand, so that neither pip nor the builder's paths are in it
home=$root/opt/seatrial
site=$home/lib/python$minor/site-packages
mkdir -p "$home/bin" "$site"
install_args=(install --quiet --disable-pip-version-check --no-index --no-deps --no-compile
  --find-links "$wheels" --target "$site")
tidy() { # what an installation leaves and nobody needs at run time
  rm -rf "$site"/bin "$site"/{setuptools,wheel,pkg_resources,_distutils_hack,distutils-precedence.pth} \
    "$site"/setuptools-*.dist-info "$site"/wheel-*.dist-info
  find "$site" \( -name direct_url.json -o -name REQUESTED -o -name '*.pyi' \) -delete
  find "$site" -type d -empty -delete
}
compile() { # PLACE…
  PYTHONHASHSEED=0 "$target" -m compileall -q --invalidation-mode unchecked-hash -s "$root" -p / "$@"
}
strip_command=$(command -v strip || true)
key=$({
  cat requirements.lock "$0"
  "$target" --version
  "$python" -m pip --version | cut -d ' ' -f 1,2
  if [ -n "$strip_command" ]; then strip --version | head -n 1; fi
} | sha256sum | cut -c 1-16)
if [ -n "$staged" ] && [ -f "$staged/$key.tar" ]; then
  tar -C "$site" -xf "$staged/$key.tar"
else
  PIP_ROOT_USER_ACTION=ignore "$python" -m pip "${install_args[@]}" --require-hashes -r requirements.lock
  tidy
  if [ -n "$strip_command" ]; then
    find "$site" -name '*.so*' -type f -exec strip --strip-unneeded --enable-deterministic-archives {} +
  fi
  compile "$site"
  if [ -n "$staged" ]; then
    mkdir -p "$staged"
    tar -C "$site" -cf "$staged/.$key.$$" .
    mv "$staged/.$key.$$" "$staged/$key.tar"
  fi
fi
PIP_ROOT_USER_ACTION=ignore "$python" -m pip "${install_args[@]}" --upgrade "$wheels"/seatrial-*.whl
tidy
compile "$site"/{daemon,control,riskcaps,evidence}
ln -s "$target" "$home/bin/python3"
ln -s python3 "$home/bin/python"
printf 'home = %s\ninclude-system-site-packages = false\nversion = %s\n' \
  "$(dirname "$target")" "$minor" > "$home/pyvenv.cfg"
for command in seatrial:control.main seatriald:daemon.__main__; do
  name=${command%%:*}
  printf '#!/opt/seatrial/bin/python3\nimport sys\n\nfrom %s import main\n\nsys.exit(main())\n' \
    "${command##*:}" > "$home/bin/$name"
  chmod 755 "$home/bin/$name"
  mkdir -p "$root/usr/bin"
  ln -s "/opt/seatrial/bin/$name" "$root/usr/bin/$name"
done

# units, users, places
install -D -m 0644 -t "$root/lib/systemd/system" systemd/*.service systemd/*.timer systemd/*.socket
install -D -m 0644 -t "$root/usr/lib/sysusers.d" systemd/sysusers.d/seatrial.conf
install -D -m 0644 -t "$root/usr/lib/tmpfiles.d" systemd/tmpfiles.d/seatrial.conf
install -D -m 0644 -t "$root/usr/share/seatrial" systemd/seatriald-sim.conf systemd/seatriald-anchors.conf
install -D -m 0644 -t "$root/etc/seatrial/caps" deploy/caps/*.toml
install -D -m 0644 -t "$root/usr/share/seatrial/caps" deploy/caps/*.toml # where `seatrial init` looks

# monitoring
for part in prometheus alertmanager grafana; do
  (cd deploy && find "$part" -type f ! -name '*_test.yml' ! -name '*.py' \
    -exec install -D -m 0644 {} "$root/usr/share/seatrial/{}" \;)
done

# words
doc=$root/usr/share/doc/seatrial
install -D -m 0644 -t "$doc" README.md CHANGELOG.md SECURITY.md
install -m 0644 -t "$doc" docs/{RUNBOOK,TESTNET,GATEWAY,ANCHORS,VENUE-HISTORY,METRICS,CONFIG,CONTROLS,CHECKS,TRIPWIRES,GLOSSARY}.md
export PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$site "$target" deploy/manpages.py "$root/usr/share/man/man1"
gzip -9 --no-name "$root"/usr/share/man/man1/*.1
mkdir -p "$root/usr/share/bash-completion/completions"
PYTHONPATH=$site "$target" -c 'from control.main import main; main()' completion bash \
  > "$root/usr/share/bash-completion/completions/seatrial"
"$target" deploy/sbom.py requirements.lock "$site" "$doc/sbom.cdx.json"

find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

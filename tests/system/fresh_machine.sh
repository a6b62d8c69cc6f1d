#!/usr/bin/env bash
# A new user's way, with a stopwatch: a bare Debian, the README's own commands (install four packages, clone,
# `make demo`) until the verdict, then whether the whole test suite can be collected there. Prints one JSON
# line of seconds.
#   usage: fresh_machine.sh ROOT [DEMO-SECONDS]
# ROOT is a bare Debian root file system with nothing but apt (see tests/support/machines.py); it is used up.
# The network is the host's. What it needs of the host to reach its mirrors is copied (CA bundle, settings of
# apt) or, where a PIP_… variable names a directory, mounted read-only in a mount namespace of its own: nothing
# in there can change anything out here.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "${SEATRIAL_UNSHARED:-}" != yes ]; then
  SEATRIAL_UNSHARED=yes exec unshare --mount --propagation private "$PWD/tests/system/fresh_machine.sh" "$@"
fi
source=$PWD root=$1 seconds=${2:-10}
bundle=/etc/ssl/certs/ca-certificates.crt
seen() { # mount --bind, read-only, at the same place in the machine
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
  mount -o remount,bind,ro "$root$1"
}
trust() { mkdir -p "$root$(dirname "$bundle")"; cp --remove-destination "$bundle" "$root$bundle"; }
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp -rT /etc/apt "$root/etc/apt"
trust
git clone -q --bare "$source" "$root/seatrial.git"
environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
while IFS= read -r variable; do
  environment+=("$variable")
  for word in ${variable#*=}; do
    if [ -d "$word" ]; then seen "$word"; fi
  done
done < <(env | grep -E '^(PIP_|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY)' || true)
inside() { chroot "$root" env -i "${environment[@]}" bash -euc "$1"; }

started=$(date +%s.%N)
stamp() { awk -v a="$started" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'; }
inside 'apt-get update' >&2
inside 'apt-get install -y --no-install-recommends python3 python3-venv git make' >&2
installed=$(stamp)
trust # the packages brought a bundle of their own
inside 'cd && git clone -q /seatrial.git seatrial'
inside "cd ~/seatrial && make demo ARGS='--seconds $seconds'" >&2
demo=$(stamp)
inside 'cd ~/seatrial && test -n "$(find demo-run -name evidence_report.md)"'
inside 'cd ~/seatrial && make .venv/.locked' >&2
collected=$(inside 'cd ~/seatrial && .venv/bin/python -m pytest --collect-only -q 2> /dev/null | tail -n 1')
printf '{"installed_s": %s, "verdict_s": %s, "demo_seconds": %s, "commands": 5, "collected": "%s"}\n' \
  "$installed" "$demo" "$seconds" "$collected"

#!/usr/bin/env bash
# A new user's way, with a stopwatch: a bare Debian, a clone, `make demo` until its verdict, then whether
# the whole test suite can be collected there. Prints one JSON line of seconds.
#   usage: fresh_machine.sh ROOT [DEMO-SECONDS]
# ROOT is a clean Debian root file system with python3, python3-venv, git, make (see
# tests/support/machines.py); it is used up. The network is the host's; so are its CA bundle and pip's
# settings (PIP_… variables, directories that they name).
set -euo pipefail
cd "$(dirname "$0")/../.."
source=$PWD root=$1 seconds=${2:-10}
mounts=()
leave() {
  for ((n = ${#mounts[@]} - 1; n >= 0; n--)); do umount --lazy "${mounts[n]}"; done
}
trap leave EXIT
over() { # mount --bind SOURCE over the same place in the machine
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; touch "$root$2"; fi
  mount --bind "$1" "$root$2"
  mounts+=("$root$2")
}
mount -t proc proc "$root/proc"; mounts+=("$root/proc")
mount -t tmpfs tmpfs "$root/tmp"; mounts+=("$root/tmp")
over /dev /dev
over /etc/resolv.conf /etc/resolv.conf
over /etc/hosts /etc/hosts
over /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
over "$source" /source
environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8)
while IFS= read -r variable; do
  environment+=("$variable")
  for word in ${variable#*=}; do
    if [ -d "$word" ]; then over "$word" "$word"; fi
  done
done < <(env | grep -E '^(PIP_|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|SSL_CERT)' || true)
inside() { chroot "$root" env -i "${environment[@]}" bash -euc "$1"; }

started=$(date +%s.%N)
stamp() { awk -v a="$started" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'; }
inside 'git config --global safe.directory "*"; git clone -q /source ~/seatrial'
cloned=$(stamp)
inside "cd ~/seatrial && make demo ARGS='--seconds $seconds'" >&2
demo=$(stamp)
inside 'cd ~/seatrial && test -n "$(find demo-run -name evidence_report.md)"'
collected=$(inside 'cd ~/seatrial && .venv/bin/python -m pytest --collect-only -q 2> /dev/null | tail -n 1')
printf '{"cloned_s": %s, "verdict_s": %s, "demo_seconds": %s, "commands": 3, "collected": "%s"}\n' \
  "$cloned" "$demo" "$seconds" "$collected"

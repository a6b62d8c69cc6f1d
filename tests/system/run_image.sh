#!/usr/bin/env bash
# Runs an image's own command the way deploy/compose.yaml does, where no engine runs: root file system read-only,
# its user, no capability, tmpfs and volume where it may write, a network of its own with only loopback. A
# simulated venue from the same image is its exchange. Prints facts, one `name=value` a line.
#   usage: run_image.sh ROOTFS WORK USER HEALTH -- COMMAND…
# ROOTFS is the mounted image, WORK an empty directory, USER its uid, HEALTH its health check as JSON (CMD form).
set -euo pipefail
if [ "${SEATRIAL_UNSHARED:-}" != yes ]; then
  SEATRIAL_UNSHARED=yes exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private "$0" "$@"
fi
rootfs=$1 work=$2 user=$3
mapfile -t health < <(python3 -c 'import json, sys; print("\n".join(json.loads(sys.argv[1])[1:]))' "$4")
shift 5
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
ip link set lo up
mkdir -p "$rootfs"/run/secrets "$rootfs"/etc/seatrial "$work"/{secrets,config,state}
touch "$rootfs/etc/seatrial/seatrial.toml" "$work/config/seatrial.toml"
mount --bind "$rootfs" "$rootfs"
mount -o remount,bind,ro "$rootfs"
mount -t proc proc "$rootfs/proc"
mount -t tmpfs -o mode=755 tmpfs "$rootfs/dev"
for node in null zero urandom random; do
  touch "$rootfs/dev/$node"
  mount --bind "/dev/$node" "$rootfs/dev/$node"
done
mount -t tmpfs -o "uid=$user,gid=$user,mode=0750" tmpfs "$rootfs/run/seatrial"
mount -t tmpfs tmpfs "$rootfs/tmp"
chown "$user:$user" "$work"/{state,secrets}
mount --bind "$work/state" "$rootfs/var/lib/seatrial"
mount --bind "$work/secrets" "$rootfs/run/secrets"
mount -o remount,bind,ro "$rootfs/run/secrets"
inside() { # as the image says: its user, its environment, nothing else
  chroot "$rootfs" /usr/bin/setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all /usr/bin/env -i PATH=/opt/seatrial/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SEATRIAL_SOCKET=/run/seatrial/control.sock \
    CREDENTIALS_DIRECTORY=/run/secrets "$@"
}
answer() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
until_true() { # SECONDS COMMAND…
  local end=$((SECONDS + $1)); shift
  until "$@"; do [ "$SECONDS" -lt "$end" ] || { echo "timeout: $*" >&2; cat "$work"/*.log >&2; exit 1; }; sleep 0.2; done
}

inside seatrial sim --port 0 --seed 7 --symbols BTCUSDT > "$work/sim.json" 2> "$work/sim.log" &
until_true 30 grep -q api_secret "$work/sim.json"
for key in api_key api_secret; do answer "$key" < "$work/sim.json" | tr -d '\n' > "$work/secrets/$key"; done
chown "$user:$user" "$work"/secrets/*
chmod 0400 "$work"/secrets/*
inside seatrial init --dir /tmp/new --sim - --caps tiny --symbol BTCUSDT --strategy quoter --keys systemd \
  < "$work/sim.json" > "$work/init.log"
sed 's|^state_dir = .*|state_dir = "/var/lib/seatrial/state"|' "$rootfs/tmp/new/seatrial.toml" \
  > "$work/config/seatrial.toml"
printf '\n[control]\nsocket = "/run/seatrial/control.sock"\n' >> "$work/config/seatrial.toml"
mount --bind "$work/config/seatrial.toml" "$rootfs/etc/seatrial/seatrial.toml"

began=$(date +%s.%N)
inside "$@" 2> "$work/daemon.log" &
daemon=$!
healthy() { inside "${health[@]}" 2> /dev/null; }
healthy && { echo "healthy before it listens" >&2; exit 1; }
until_true 40 healthy
echo "healthy_s=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }')"
ready() { [ "$(inside seatrial status --json 2> /dev/null | answer gate_state 2> /dev/null)" = READY ]; }
until_true 40 ready
echo "state=$(inside seatrial status --json | answer trading_state)"
inside seatrial start --yes --reason "image test" > "$work/start.log"
admin=$(answer admin < "$work/sim.json")
held() { python3 -c 'import json, sys, urllib.request as r
print(len(json.load(r.urlopen(sys.argv[1] + "/ledger"))["open_orders"]))' "$admin"; }
trades() { [ "$(held)" -gt 0 ]; }
until_true 40 trades
echo "open_before=$(held)"
inner=$(pgrep -u "$user" -f seatriald | head -n 1)
echo "uid=$(awk '/^Uid:/ { print $2 }' "/proc/$inner/status")"
echo "capabilities=$(awk '/^CapBnd:/ { print $2 }' "/proc/$inner/status")"
echo "no_new_privs=$(awk '/^NoNewPrivs:/ { print $2 }' "/proc/$inner/status")"
for place in /opt/seatrial/x /etc/seatrial/x /usr/bin/x /var/lib/x; do
  inside /usr/bin/touch "$place" 2> /dev/null && echo "wrote=$place"
done
kill -TERM "$inner"
code=0
wait "$daemon" || code=$?
echo "exit=$code"
echo "open_after=$(held)"
healthy && echo "healthy_after_its_end=yes"
echo "journal_lines=$(cat "$work"/state/state/journal/*.jsonl | wc -l)"

#!/bin/bash
# Boots this machine's own systemd as process 1 over a throw-away overlay of /, in namespaces of its own,
# and ends with the exit code of inside.service.
#   usage: boot-machine.sh PAYLOAD RESULTS
# PAYLOAD is laid over the root first and holds etc/systemd/system/inside.service, the test (a oneshot with
# SuccessAction=exit and FailureAction=exit). RESULTS is seen as /out. Nothing outside the overlay changes.
set -euo pipefail
payload=$(realpath "$1") results=$(realpath "$2")
group=seatrial-boot-$$
hierarchies=(memory pids systemd unified)
for one in "${hierarchies[@]}"; do
  mkdir "/sys/fs/cgroup/$one/$group"
  echo $$ > "/sys/fs/cgroup/$one/$group/cgroup.procs"
done
leave() {
  for one in "${hierarchies[@]}"; do
    echo $$ > "/sys/fs/cgroup/$one/cgroup.procs" || true
    find "/sys/fs/cgroup/$one/$group" -depth -type d -exec rmdir {} \; 2> /dev/null || true
  done
}
trap leave EXIT

status=0
PAYLOAD=$payload RESULTS=$results unshare --mount --uts --ipc --net --pid --cgroup --fork \
  --propagation private /bin/bash -euc '
  base=$(mktemp -d)
  mount -t tmpfs -o size=4g boot "$base"
  mkdir "$base"/{upper,work,root}
  mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
  cp -a "$PAYLOAD/." "$base/root/"
  cd "$base/root"
  ip link set lo up 2> /dev/null || true
  mount -t proc proc proc
  mount -t sysfs sysfs sys -o ro
  for one in run tmp dev; do mount -t tmpfs tmpfs "$one"; done
  for one in null zero full random urandom tty; do touch "dev/$one"; mount --bind "/dev/$one" "dev/$one"; done
  mkdir -p dev/pts dev/shm
  mount -t devpts -o newinstance devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/{unified,systemd,memory,pids}
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  for one in memory pids; do mount -t cgroup -o "$one" cgroup "sys/fs/cgroup/$one"; done
  mkdir -p out
  mount --bind "$RESULTS" out
  : > etc/machine-id
  mkdir -p .old
  pivot_root . .old
  umount -l /.old
  mount --make-rshared /
  hostname testnet-box
  exec setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio env -i container=seatrial \
    PATH=/usr/bin:/bin:/usr/sbin:/sbin /lib/systemd/systemd systemd.unit=inside.service systemd.show_status=0
' < /dev/null || status=$?
exit "$status"

#!/usr/bin/env bash
# boot.sh WORK CGROUP: a real systemd as pid 1 of namespaces of its own, over a copy of this machine's files that is kept in memory and thrown away.
# Root is needed, and a control group CGROUP (version 2) that is empty. WORK is an empty directory; WORK/files is laid over the copy.
# Ends with the systemd. What runs inside is reached from outside through `nsenter --target PID`; see booted.py.
set -euo pipefail
usage='usage: tests/system/boot.sh WORK CGROUP   (test_service.py calls it; the head of this file says what it does)'
case ${1:-} in
  -h | --help)
    echo "$usage"
    exit 0
    ;;
esac
if (($# < 2)) || [[ ! -d $1 || ! -d $2 ]]; then
  printf '%s\n' "tests/system/boot.sh: expected two folders; got '$*'" "$usage" >&2
  exit 2
fi
work=$1 cgroup=$2

if [[ ${3:-} != inside ]]; then
  echo $$ >"$cgroup/cgroup.procs"
  exec unshare --pid --fork --kill-child --mount --propagation private --cgroup --ipc --net --uts "$0" "$work" "$cgroup" inside
fi

mount -t tmpfs -o mode=755 memory "$work/memory"
mkdir "$work"/memory/{upper,scratch,root}
root=$work/memory/root
mount -t overlay -o "lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/scratch" machine "$root"

# What a kernel and an initrd would have made ready.
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for directory in run tmp var/tmp dev; do mount -t tmpfs -o mode=755 "$(basename $directory)" "$root/$directory"; done
chmod 1777 "$root/tmp" "$root/var/tmp"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

# This machine's own services have no part in it.
rm -rf "$root"/etc/systemd/system/*.{wants,requires}
: >"$root/etc/fstab"
: >"$root/etc/machine-id"
cp -a "$work/files/." "$root/"
ip link set lo up

cd "$root"
mkdir before
pivot_root . before
umount --lazy /before
exec env -i container=poold-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=console \
  --log-level=warning systemd.unit=multi-user.target </dev/null

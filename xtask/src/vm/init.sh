#!/bin/busybox sh
# The first process of the machine. Each line of /tests is a backend and a test
# program; the lines that begin with "vm: " are for the reader of the console.

say() { echo "vm: $*"; }
mount() { busybox mount "$@" || say "mount $* failed"; }

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
busybox ip link set lo up

# Reduces repetitions to a few seconds here.
export PATH=/usr/bin:/bin NSEXEC_LEFT_OUT=/tmp/left-out NSEXEC_AUDIT_CALLS=300
if [ -x /driver ]; then export NSEXEC_AUDIT_DRIVER=/driver; fi

say "Linux $(busybox uname -r), $(busybox nproc) processors, clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource) of $(cat /sys/devices/system/clocksource/clocksource0/available_clocksource)"
while read -r backend program; do
    : >"$NSEXEC_LEFT_OUT"
    say begins
    NSEXEC_AUDIT_BACKEND=$backend "$program" --test-threads=1 --color=never --show-output </dev/null 2>&1
    status=$?
    while read -r line; do say "left out $line"; done <"$NSEXEC_LEFT_OUT"
    say "ended with $status"
done </tests
# The cost of a call without a probe, with and without attached probes.
while read -r backend auditor; do
    "$auditor" selftest --events=40 --backend="$backend" </dev/null 2>&1 | while read -r line; do
        case $line in
        getppid*)
            set -- $line
            say "cost $backend: getppid takes $3 ns, $2 ns without the probes, $4 times as long"
            ;;
        esac
    done
done </auditors
say done
busybox poweroff -f

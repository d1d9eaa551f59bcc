#!/bin/sh
# Runs each test program of /vm/tests. Lines that begin with "vm: " are for the reader
# of the console.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
say() { echo "vm: $*"; }

mkdir -p /proc /sys /dev /run /tmp /root /etc /var/lib /var/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin && ln -s fd/1 /dev/stdout && ln -s fd/2 /dev/stderr
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# As systemd and container engines do.
echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control
mount --make-rshared /
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >/etc/passwd
printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >/etc/group
hostname host
ip link set lo up
chmod 755 / && chmod 1777 /tmp

for module in /vm/modules/*.ko; do
    if [ -e "$module" ]; then busybox insmod "$module"; fi
done

. /vm/environment
export NSEXEC_LEFT_OUT=/run/left-out RUST_BACKTRACE=0 NSEXEC_TEST_AUDITING=1 NSEXEC_TEST_SHARE=10 NSEXEC_FAILURES=20
cd "$TREE" || say "no $TREE"

say "release $(uname -r)"
say "modules $(cat /sys/kernel/security/lsm)"
"$NSEXEC" --features </dev/null 2>&1 | while read -r row; do say "feature $row"; done

processes() {
    for directory in /proc/[0-9]*; do
        if [ -n "$(tr -d '\0' <"$directory/cmdline" 2>/dev/null)" ]; then echo "${directory#/proc/}"; fi
    done
}

while read -r name program; do
    : >"$NSEXEC_LEFT_OUT"
    : >/run/log
    say "begins $name"
    busybox timeout -s KILL 3000 "$program" --test-threads=1 --color=never \
        --logfile /run/log </dev/null >/run/output 2>&1
    status=$?
    # A process that a test left behind is reported, and ended by its pid.
    for pid in $(processes); do
        if [ "$pid" -ne 1 ] && [ "$pid" -ne $$ ] && [ -e "/proc/$pid" ]; then
            say "left behind $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
            kill -9 "$pid"
        fi
    done
    if [ "$status" -ne 0 ]; then cat /run/output; fi
    while read -r line; do say "test $line"; done </run/log
    while read -r line; do say "left out $line"; done <"$NSEXEC_LEFT_OUT"
    say "ended with $status"
done </vm/tests
say done
busybox poweroff -f

#!/bin/busybox sh
# The first process. The tests call pivot_root(2), which the initial root refuses:
# the same files become the root of a mount upon it.
/bin/busybox mkdir -p /first
/bin/busybox mount --bind / /first
cd /first
/bin/busybox mount --move . /
exec /bin/busybox chroot . /vm/run

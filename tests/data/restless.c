/* Unshares its mount and uts namespaces, and enters a new root, for ever. Host name
   and the file /generation of the root have the same number, but for the moments in
   between. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void copy(const char *from, const char *to) {
    char buffer[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    check(in, from);
    check(out, to);
    for (ssize_t length; (length = read(in, buffer, sizeof buffer)) > 0;)
        check((int)write(out, buffer, (size_t)length), to);
    close(in);
    close(out);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 1;
    check(chdir(argv[1]), argv[1]);
    copy("/bin/busybox", "busybox");
    for (unsigned generation = 1;; generation++) {
        char name[16];
        int length = snprintf(name, sizeof name, "%u", generation);
        check(unshare(CLONE_NEWNS | CLONE_NEWUTS), "unshare");
        check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
        check(mkdir("next", 0755) < 0 && access("next", F_OK) < 0 ? -1 : 0, "mkdir");
        check(mount("none", "next", "tmpfs", 0, NULL), "tmpfs");
        copy("busybox", "next/busybox");
        int file = open("next/generation", O_WRONLY | O_CREAT, 0644);
        check(file, "generation");
        check((int)write(file, name, (size_t)length), "generation");
        check((int)write(file, "\n", 1), "generation");
        close(file);
        check(chdir("next"), "next");
        check(mkdir("old", 0755), "old");
        check((int)syscall(SYS_pivot_root, ".", "old"), "pivot_root");
        check(chroot("."), "chroot");
        check(sethostname(name, (size_t)length), "sethostname");
        check(umount2("/old", MNT_DETACH), "umount");
        if (generation == 1) {
            puts("ready");
            fflush(stdout);
        }
        /* A short pause, so that some joins succeed. */
        usleep(3000);
    }
}

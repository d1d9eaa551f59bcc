/* lookup ROOT PATH COUNT: opens PATH beneath ROOT COUNT times, or until the kernel
 * returns EAGAIN. Prints what hostile.c prints. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count != 4) return 2;
    struct open_how how = {.flags = O_PATH, .resolve = RESOLVE_IN_ROOT};
    int root = open(words[1], O_PATH), done = 0, all = atoi(words[3]);
    for (int i = 0; i < all; i++) {
        int fd = syscall(SYS_openat2, root, words[2], &how, sizeof how);
        if (fd >= 0) close(fd);
        else if (errno == EAGAIN) break;
        else return 2;
        done++;
    }
    printf(done < all ? "harm look-up %d failed\n" : "denied none of %d look-ups failed\n", done);
}

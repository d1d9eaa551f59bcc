/* mover: repeatedly unshares all its namespaces at once, and writes each set to
 * /tmp/sets: a process that joins it must be in one of the sets. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    const char *names[] = {"uts", "ipc", "mnt"};
    int log = open("/tmp/sets", O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log < 0) return 2;
    /* As long as a namespace is open, no other has its number. */
    int open_until[2][400] = {{0}};
    for (unsigned round = 0;; round++) {
        char line[256] = "", path[32], link[64];
        for (int i = 0; i < 3; i++) {
            snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
            ssize_t length = readlink(path, link, sizeof link - 1);
            if (length < 0) return 2;
            link[length] = 0;
            strcat(strcat(line, link), i < 2 ? " " : "\n");
            if (i == 2) continue;
            int *held = &open_until[i][round % 400];
            if (*held > 0) close(*held);
            *held = open(path, O_RDONLY | O_CLOEXEC);
        }
        if (write(log, line, strlen(line)) < 0) return 2;
        if (unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS)) return 2;
    }
}

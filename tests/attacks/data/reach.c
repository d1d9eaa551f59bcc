/* reach paths|memory NAME PATH: waits for a process of this name, and tries to
 * open everything that leads out of the target while the process exists.
 *
 * paths: whether PATH, a file of the host's, is found through one of its
 * descriptors, its root or its directory. memory: whether its memory can be
 * written. Prints what hostile.c prints. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UP "/../../../../../../../.."

static int tried;
static int last;

static int named(const char *pid, const char *name) {
    char path[300], comm[32] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return 0;
    if (read(fd, comm, sizeof comm - 1) < 0) comm[0] = 0;
    close(fd);
    comm[strcspn(comm, "\n")] = 0;
    return !strcmp(comm, name);
}

/* The process may have become the program, which belongs to the target: then the
 * opened objects are no harm. execve(2) renames a process after it has replaced its memory. */
static void try(const char *pid, const char *name, const char *link, const char *path, int flags) {
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY);
    tried++;
    if (fd < 0) {
        last = errno;
        return;
    }
    usleep(2000);
    if (named(pid, name)) {
        printf("harm /proc/PID/%s of the child was opened\n", link);
        fflush(stdout);
        _exit(0);
    }
    close(fd);
}

static void reach(const char *pid, const char *name, const char *secret) {
    char path[512], directory[64], link[300];
    if (!secret) {
        snprintf(path, sizeof path, "/proc/%s/mem", pid);
        try(pid, name, "mem", path, O_RDWR);
        return;
    }
    const char *links[] = {"root", "cwd"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%s/%s" UP "%s", pid, links[i], secret);
        try(pid, name, links[i], path, O_RDONLY);
    }
    snprintf(directory, sizeof directory, "/proc/%s/fd", pid);
    DIR *all = opendir(directory);
    if (!all) {
        tried++;
        last = errno;
        return;
    }
    for (struct dirent *one; (one = readdir(all));) {
        snprintf(path, sizeof path, "%s/%s" UP "%s", directory, one->d_name, secret);
        snprintf(link, sizeof link, "fd/%s/..", one->d_name);
        if (one->d_name[0] != '.') try(pid, name, link, path, O_RDONLY);
    }
    closedir(all);
}

int main(int count, char **words) {
    if (count != 4) return 2;
    const char *secret = strcmp(words[1], "memory") ? words[3] : NULL;
    time_t end = time(NULL) + 15;
    int seen = 0;
    while (time(NULL) < end) {
        DIR *proc = opendir("/proc");
        int now = 0;
        for (struct dirent *one; proc && (one = readdir(proc));)
            if (one->d_name[0] >= '1' && one->d_name[0] <= '9' && named(one->d_name, words[2])) {
                now = 1;
                reach(one->d_name, words[2], secret);
            }
        if (proc) closedir(proc);
        seen |= now;
        if (seen && !now && tried) {
            printf("denied out of reach: %s\n", strerror(last));
            return 0;
        }
        struct timespec pause = {.tv_nsec = 200000};
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "reach: no process %s was seen to end\n", words[2]);
    return 2;
}

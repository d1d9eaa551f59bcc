/* watch node|fifo PATH: reports whether a process opens it, until /tmp/done exists.
 *
 * node: as inotify(7) sees it. fifo: as a writer that waits for a reader.
 * Prints what hostile.c prints. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void wait_for_one(int fifo, const char *path) {
    char event[4096];
    int fd = fifo ? open(path, O_WRONLY) : inotify_init1(0);
    if (fd < 0 || (!fifo && inotify_add_watch(fd, path, IN_OPEN) < 0)) _exit(2);
    if (!fifo) {
        puts("watching");
        fflush(stdout);
        if (read(fd, event, sizeof event) < 0) _exit(2);
    }
    _exit(7);
}

int main(int count, char **words) {
    if (count != 3) return 2;
    int fifo = !strcmp(words[1], "fifo"), status;
    if (fifo) {
        puts("watching");
        fflush(stdout);
    }
    pid_t child = fork();
    if (!child) wait_for_one(fifo, words[2]);
    struct stat done;
    for (;;) {
        if (waitpid(child, &status, WNOHANG) == child) break;
        if (!stat("/tmp/done", &done)) {
            usleep(20000);
            if (waitpid(child, &status, WNOHANG) == child) break;
            kill(child, SIGKILL);
            puts("denied open: nobody opened it");
            return 0;
        }
        usleep(2000);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) return 2;
    puts("harm it was opened");
}

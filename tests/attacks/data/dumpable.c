/* dumpable PID: joins a process's user, pid and mount namespaces, like a helper
 * that becomes dumpable for a moment to write a file of its own in /proc. */
#define _GNU_SOURCE
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count != 2) return 2;
    int target = syscall(SYS_pidfd_open, atoi(words[1]), 0);
    if (target < 0 || setns(target, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)) return 2;
    pid_t child = fork();
    if (!child) {
        if (setgroups(0, NULL) || setgid(0) || setuid(0)) _exit(2);
        prctl(PR_SET_DUMPABLE, 1);
        usleep(300000);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

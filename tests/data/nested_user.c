/* A process of user 1000 in a user namespace that maps 0 to 100000, without capabilities. It
 * has prepared a nested user namespace in which user 1000 is root, and enters it when it reads
 * a byte. Prints its pid. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <grp.h>
#include <unistd.h>

static void check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

static void put(int pid, const char *name, const char *text)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int file = open(path, O_WRONLY);
	check(file, path);
	check(write(file, text, strlen(text)), path);
	close(file);
}

int main(void)
{
	int born[2], mapped[2], nested[2];
	char byte, path[64];
	check(pipe(born), "pipe");
	check(pipe(mapped), "pipe");
	check(pipe(nested), "pipe");
	pid_t target = fork();
	if (target) {
		check(read(born[0], &byte, 1), "read");
		put(target, "uid_map", "0 100000 65536\n");
		put(target, "gid_map", "0 100000 65536\n");
		check(write(mapped[1], "x", 1), "write");
		waitpid(target, NULL, 0);
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	check(unshare(CLONE_NEWUSER), "unshare");
	check(write(born[1], "x", 1), "write");
	check(read(mapped[0], &byte, 1), "read");
	check(setgroups(0, NULL), "setgroups");
	check(setresgid(0, 0, 0), "setresgid");
	check(setresuid(0, 0, 0), "setresuid");
	check(unshare(CLONE_NEWNET), "unshare");
	check(setresgid(1000, 1000, 1000), "setresgid");
	check(setresuid(1000, 1000, 1000), "setresuid");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
	pid_t holder = fork();
	if (!holder) {
		check(unshare(CLONE_NEWUSER), "unshare");
		put(getpid(), "setgroups", "deny");
		put(getpid(), "uid_map", "0 1000 1");
		put(getpid(), "gid_map", "0 1000 1");
		check(write(nested[1], "x", 1), "write");
		pause();
	}
	check(read(nested[0], &byte, 1), "read");
	snprintf(path, sizeof path, "/proc/%d/ns/user", holder);
	int namespace = open(path, O_RDONLY);
	check(namespace, path);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	printf("%d\n", getpid());
	fflush(stdout);
	if (read(0, &byte, 1) == 1)
		check(setns(namespace, CLONE_NEWUSER), "setns");
	if (read(0, &byte, 1) == 1)
		pause();
	return 0;
}

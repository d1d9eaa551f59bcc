/*
 * An exec into a target without any hardening: joins five namespaces of PID,
 * starts PROGRAM and waits for it. The benchmark compares nsexec with it. Not
 * for other use: it does not protect against a recycled pid, leaked
 * descriptors, or a program that traces it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *name;
	int type;
} namespaces[] = {
	{ "ipc", CLONE_NEWIPC }, { "uts", CLONE_NEWUTS }, { "net", CLONE_NEWNET },
	{ "pid", CLONE_NEWPID }, { "mnt", CLONE_NEWNS },
};
#define COUNT (sizeof(namespaces) / sizeof(namespaces[0]))

static void die(const char *what)
{
	perror(what);
	_exit(125);
}

int main(int argc, char **argv)
{
	int fds[COUNT], status;
	char path[64];
	pid_t pid;

	if (argc != 3) {
		fprintf(stderr, "usage: joiner PID PROGRAM\n");
		return 125;
	}
	if (syscall(SYS_pidfd_open, atoi(argv[1]), 0) < 0)
		die("pidfd_open");
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(path, sizeof(path), "/proc/%s/ns/%s", argv[1], namespaces[i].name);
		fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0)
			die(path);
	}
	for (size_t i = 0; i < COUNT; i++)
		if (setns(fds[i], namespaces[i].type) < 0)
			die(namespaces[i].name);

	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		execve(argv[2], argv + 2, environ);
		die(argv[2]);
	}
	if (waitpid(pid, &status, 0) < 0)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

/* The first process of an emulated machine: implements the runtime's side of protocols
 * A and B for runtime.c, and runs the helper, in namespaces of a throw-away process.
 * Prints a line for each check, `ok WHAT` or `FAILED WHAT`; `done` at the end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const joined[] = { "ipc", "uts", "net", "pid", "mnt" };
static char said[65536];

static void check(const char *what, int holds)
{
	printf("%s %s\n", holds ? "ok" : "FAILED", what);
	if (!holds)
		printf("%s\n", said);
}

/* Creates a process that sleeps in new namespaces; returns its pid. */
static pid_t target(void)
{
	int ready[2];
	pid_t pid, outer;
	char byte;

	if (pipe(ready))
		exit(1);
	outer = fork();
	if (!outer) {
		if (unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS))
			_exit(1);
		pid = fork();
		if (!pid) {
			/* The new /proc shows its own pid namespace. */
			if (mount("proc", "/proc", "proc", 0, NULL))
				_exit(1);
			if (write(ready[1], "r", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		_exit(pid < 0);
	}
	if (read(ready[0], &byte, 1) != 1)
		exit(1);
	waitpid(outer, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	/* This process is its parent now: it is the first remaining child. */
	FILE *children = fopen("/proc/self/task/1/children", "r");
	if (!children || fscanf(children, "%d", &pid) != 1)
		exit(1);
	fclose(children);
	return pid;
}

/* Runs a program to its end and reads its output. */
static int run(char *const argv[], char *const envp[], int pipe_end, int *ours, const void *message,
	       size_t length, int protocol)
{
	int out[2], status = -1;
	size_t got = 0;
	ssize_t more;
	int one = 0, two = 0;

	if (pipe2(out, O_CLOEXEC))
		exit(1);
	pid_t pid = fork();
	if (!pid) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		if (pipe_end >= 0)
			dup2(pipe_end, 3);
		execve(argv[0], argv, envp);
		_exit(127);
	}
	close(out[1]);
	if (pipe_end >= 0)
		close(pipe_end);
	if (message && write(*ours, message, length) != (ssize_t)length)
		exit(1);
	waitpid(pid, &status, 0);
	if (protocol) {
		char report[128] = "";
		if (read(*ours, report, sizeof report - 1) < 0)
			report[0] = 0;
		if (protocol == 'B')
			sscanf(report, "{\"stage1_pid\":%d,\"stage2_pid\":%d}", &one, &two);
		else
			sscanf(report, "{ \"pid\" : %d }", &two);
		if (write(*ours, "rest", 4) != 4)
			exit(1);
		shutdown(*ours, SHUT_WR);
	}
	while ((more = read(out[0], said + got, sizeof said - 1 - got)) > 0)
		got += more;
	said[got] = 0;
	close(out[0]);
	if (one)
		waitpid(one, NULL, 0);
	if (two)
		waitpid(two, &status, 0);
	return status;
}

static void attribute(char **at, uint16_t type, const char *value, uint16_t length)
{
	uint16_t head[2] = { length + 4, type };
	memcpy(*at, head, 4);
	memset(*at + 4, 0, (length + 3) & ~3);
	memcpy(*at + 4, value, length);
	*at += 4 + ((length + 3) & ~3);
}

static int tells(const char *line)
{
	const char *found = strstr(said, line);
	return found && (found == said || found[-1] == '\n') && found[strlen(line)] == '\n';
}

static int same(const char *name)
{
	char own[64], thread[64];
	const char *process = strstr(said, "process=");
	int pid = process ? atoi(process + 8) : -1;
	snprintf(own, sizeof own, "sid=%d", pid);
	snprintf(thread, sizeof thread, "cached_tid=%d", pid);
	return pid > 0 && (strcmp(name, "sid") ? tells(thread) : tells(own));
}

static int joins_all(pid_t pid)
{
	char path[64], link[64], line[96];
	for (size_t i = 0; i < sizeof joined / sizeof *joined; i++) {
		snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, joined[i]);
		ssize_t length = readlink(path, link, sizeof link - 1);
		if (length < 0)
			return 0;
		link[length] = 0;
		snprintf(line, sizeof line, "%s=%s", joined[i], link);
		if (!tells(line))
			return 0;
	}
	return 1;
}

int main(void)
{
	char paths[512] = "", message[1024] = "", *at = message + 16, number[32], variable[64];
	char *const runtime[] = { "/runtime", NULL };
	char *const b[] = { "_LIBCONTAINER_INITPIPE=3", NULL };
	char *const a[] = { "_LIBCONTAINER_INITPIPE=3", variable, NULL };
	char *const helper[] = { "/nsexec", "-t", number, "-a", "--env=PATH=/", "--", "/runtime", NULL };
	char *const none[] = { NULL };
	int ends[2], status;

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mkdir("/etc", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) || mount("devtmpfs", "/dev", "devtmpfs", 0, NULL))
		printf("mounts are there already\n");
	close(open("/etc/passwd", O_CREAT | O_WRONLY, 0644));
	pid_t pid = target();
	snprintf(number, sizeof number, "%d", pid);
	for (size_t i = 0; i < sizeof joined / sizeof *joined; i++)
		snprintf(paths + strlen(paths), sizeof paths - strlen(paths), "%s%s:/proc/%d/ns/%s",
			 i ? "," : "", joined[i], pid, joined[i]);

	attribute(&at, 27281, "\0\0\0\0", 4);
	attribute(&at, 27282, paths, strlen(paths) + 1);
	uint32_t head[4] = { at - message, 62000 | 1 << 16, 1, 0 };
	memcpy(message, head, 16);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return 1;
	status = run(runtime, b, ends[1], &ends[0], message, at - message, 'B');
	check("protocol B: the runtime took over", WIFEXITED(status) && WEXITSTATUS(status) == 7);
	check("protocol B: all namespaces were joined", joins_all(pid));
	check("protocol B: a session of its own", same("sid"));
	check("protocol B: the C library knows its thread", same("cached_tid"));
	check("protocol B: the stack is aligned", tells("stack=0"));
	check("protocol B: the configuration is left on the pipe", tells("rest=rest"));

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return 1;
	snprintf(variable, sizeof variable, "_LIBCONTAINER_INITPID=%d", pid);
	status = run(runtime, a, ends[1], &ends[0], NULL, 0, 'A');
	check("protocol A: the runtime took over", WIFEXITED(status) && WEXITSTATUS(status) == 7);
	check("protocol A: all namespaces were joined", joins_all(pid));
	check("protocol A: the C library knows its thread", same("cached_tid"));
	check("protocol A: the stack is aligned", tells("stack=0"));

	status = run(helper, none, -1, NULL, NULL, 0, 0);
	check("nsexec: the program ran", WIFEXITED(status) && WEXITSTATUS(status) == 7);
	check("nsexec: all namespaces were joined", joins_all(pid));
	check("nsexec: under its filters", tells("Seccomp=2") && tells("NoNewPrivs=1"));
	check("nsexec: no namespace can be made", tells("unshare=Operation not permitted"));

	kill(pid, SIGKILL);
	printf("done\n");
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}

/* A runtime that only prints its state when it takes over: a line NAME=VALUE for each
 * property, on standard output. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nsexec.h>

extern char **environ;

__attribute__((constructor)) static void before_main(void)
{
	if (getenv("RUNTIME_CEILING"))
		nsexec_set_ceiling();
	if (getenv("RUNTIME_LEADING_NUL"))
		nsexec_send_leading_nul();
	nsexec();
}

static void status(void)
{
	static const char *const names[] = {
		"SigBlk", "SigIgn", "Threads", "Seccomp", "NoNewPrivs", "Groups",
		"CapInh", "CapEff", "Uid", "Gid", NULL,
	};
	char line[512];
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof line, file)) {
		char *colon = strchr(line, ':');
		if (!colon)
			continue;
		*colon = 0;
		for (int i = 0; names[i]; i++)
			if (!strcmp(names[i], line))
				printf("%s=%s", line, colon + 2);
	}
	if (file)
		fclose(file);
}

static void descriptors(void)
{
	printf("descriptors=");
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			printf("%d%s ", fd, fcntl(fd, F_GETFD) & FD_CLOEXEC ? "c" : "");
	printf("\n");
}

static void file(const char *name, const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text);
	for (ssize_t i = 0; i < length; i++)
		if (text[i] == '\n')
			text[i] = ';';
	printf("%s=%.*s\n", name, (int)length, text);
	if (fd >= 0)
		close(fd);
}

/* Whether a container with this process could write to the runtime's file. */
static const char *own_file(void)
{
	struct statvfs mount;
	int seals, fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return strerror(errno);
	seals = fcntl(fd, F_GET_SEALS);
	if (fstatvfs(fd, &mount))
		mount.f_flag = 0;
	close(fd);
	if (mount.f_flag & ST_RDONLY)
		return "read-only mount";
	return seals > 0 && seals & F_SEAL_WRITE ? "sealed memory" : "writable";
}

int main(int argc, char **argv)
{
	static const char *const namespaces[] = {
		"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts", NULL,
	};
	static const char *const files[] = {
		"oom_score_adj", "uid_map", "gid_map", "setgroups", "timens_offsets",
		"coredump_filter", "timerslack_ns", NULL,
	};
	char text[65536], path[64], name[17] = "";
	pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	const char *pipe = getenv("_LIBCONTAINER_INITPIPE");

	descriptors();
	prctl(PR_GET_NAME, name);
	pthread_mutex_lock(&mutex);
	printf("process=%d\nsid=%d\nname=%s\ndumpable=%d\n", getpid(), getsid(0), name,
	       prctl(PR_GET_DUMPABLE));
	printf("thread=%ld\ncached_tid=%d\n", syscall(SYS_gettid), mutex.__data.__owner);
	printf("stack=%lu\n", (unsigned long)__builtin_frame_address(0) & 15);
	for (int i = 0; i < argc; i++)
		printf("argument.%d=%s\n", i, argv[i]);
	printf("own_file=%s\n", own_file());
	printf("cwd=%s\n", getcwd(text, sizeof text));
	for (int i = 0; namespaces[i]; i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", namespaces[i]);
		ssize_t length = readlink(path, text, sizeof text);
		printf("%s=%.*s\n", namespaces[i], (int)(length < 0 ? 0 : length), text);
	}
	status();
	for (int i = 0; files[i]; i++) {
		snprintf(path, sizeof path, "/proc/self/%s", files[i]);
		file(files[i], path);
	}
	for (char **variable = environ; *variable; variable++)
		printf("environ.%s\n", *variable);
	printf("unshare=%s\n", unshare(CLONE_NEWUTS) ? strerror(errno) : "allowed");
	if (isatty(0))
		printf("terminal=%s\n", ttyname(0) ? ttyname(0) : "a terminal");
	if (pipe) {
		size_t length = 0;
		ssize_t got;
		while ((got = read(atoi(pipe), text + length, sizeof text - length)) > 0)
			length += got;
		printf("rest=%.*s\n", (int)length, text);
	}
	fflush(stdout);
	return 7;
}

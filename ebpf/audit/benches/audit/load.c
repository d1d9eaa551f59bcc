/*
 * The load of the auditor's benchmark: on each PROCESSOR a process makes one system
 * call COUNT times; with a RATE, this many per second and processor. Prints a line
 * when it is ready, waits for the end of standard input, and prints one line per
 * process: the times at which its calls began and ended, in nanoseconds of
 * CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* With a rate: this many calls in a row, and then a pause. */
#define BATCH 64

_Noreturn static void die(const char *what)
{
	perror(what);
	_exit(125);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sleep_until(long long when)
{
	struct timespec time = { when / 1000000000, when % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

int main(int argc, char **argv)
{
	long count, rate, number, first = 0, second = 0;
	int status, failed = 0;
	char byte;

	if (argc < 5) {
		fprintf(stderr, "usage: load getppid|setns|unshare COUNT RATE|0 PROCESSOR...\n");
		return 125;
	}
	count = atol(argv[2]);
	rate = atol(argv[3]);
	if (!strcmp(argv[1], "getppid")) {
		number = SYS_getppid;
	} else if (!strcmp(argv[1], "setns")) {
		number = SYS_setns;
		first = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
		second = CLONE_NEWUTS;
		if (first < 0)
			die("/proc/self/ns/uts");
	} else if (!strcmp(argv[1], "unshare")) {
		number = SYS_unshare;
		first = CLONE_NEWUTS;
	} else {
		die(argv[1]);
	}
	if (write(1, "ready\n", 6) != 6)
		die("write");
	while (read(0, &byte, 1) > 0)
		;

	for (char **processor = argv + 4; *processor; processor++) {
		long long begin, end;
		char line[64];
		cpu_set_t one;
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(atoi(*processor), &one);
		if (sched_setaffinity(0, sizeof(one), &one) < 0)
			die("sched_setaffinity");
		begin = now();
		for (long i = 0; i < count; i++) {
			if (rate > 0 && i % BATCH == 0)
				sleep_until(begin + i * 1000000000LL / rate);
			if (syscall(number, first, second) < 0)
				die(argv[1]);
		}
		end = now();
		snprintf(line, sizeof(line), "%lld %lld\n", begin, end);
		if (write(1, line, strlen(line)) < 0)
			die("write");
		_exit(0);
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed ? 125 : 0;
}

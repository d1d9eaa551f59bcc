/* Makes calls that change namespaces, and prints the kernel's own data about the task
 * before and after each call. The tests compare the probes' records with them.
 *
 * A line is a word and its values. A namespace set is ten times INUM:ID, in the order of
 * `slots`; 0 means that there is none. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* linux/nsfs.h; the second from Linux 6.18 on. */
#define NS_GET_NSTYPE _IO(0xb7, 0x3)
#define NS_GET_ID _IOR(0xb7, 13, uint64_t)
/* linux/magic.h, from Linux 6.9 on. */
#define PID_FS_MAGIC 0x50494446

static const char *const slots[] = { "cgroup", "ipc", "mnt", "net", "pid",
	"pid_for_children", "time", "time_for_children", "user", "uts" };
#define SLOTS (sizeof(slots) / sizeof(*slots))
#define PID_FOR_CHILDREN 5

/* Of linux/sched.h, as its first version has it. */
struct arguments {
	volatile uint64_t flags;
	uint64_t pidfd, child_tid, parent_tid, exit_signal, stack, size, tls;
};

struct namespace {
	unsigned long long inum, id;
};

/* A descriptor of /proc, which stays valid after chroot(2). */
static int proc;

static void fail(const char *what)
{
	fprintf(stderr, "namespaces: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct namespace named_by(int fd)
{
	struct namespace is = { 0, 0 };
	struct stat stat;
	uint64_t id;

	if (fstat(fd, &stat))
		fail("fstat");
	is.inum = stat.st_ino;
	if (!ioctl(fd, NS_GET_ID, &id))
		is.id = id;
	else if (errno != ENOTTY)
		fail("NS_GET_ID");
	return is;
}

static int open_namespace(const char *task, const char *slot)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/ns/%s", task, slot);
	return openat(proc, path, O_RDONLY | O_CLOEXEC);
}

static struct namespace look(const char *task, const char *slot)
{
	struct namespace is = { 0, 0 };
	int fd = open_namespace(task, slot);

	if (fd >= 0) {
		is = named_by(fd);
		close(fd);
	} else if (errno != ENOENT) {
		fail(slot);
	}
	return is;
}

/* Until the thread that made it ends. */
static void stay(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void end(pid_t child)
{
	/* Regardless of its exit signal. */
	if (kill(child, SIGKILL) || waitpid(child, NULL, __WALL) != child)
		fail("waitpid");
}

static void show(const char *word, const char *task)
{
	struct namespace is;
	char child[16];
	pid_t first;
	size_t i;

	printf("%s", word);
	for (i = 0; i < SLOTS; i++) {
		is = look(task, slots[i]);
		/* One that has no process yet cannot be opened. */
		if (i == PID_FOR_CHILDREN && !is.inum) {
			first = fork();
			if (!first)
				stay();
			if (first < 0)
				fail("fork");
			snprintf(child, sizeof(child), "%d", first);
			is = look(child, "pid");
			end(first);
		}
		printf(" %llu:%llu", is.inum, is.id);
	}
	printf("\n");
}

/* Until no process has the other end of the pipe: a process that is no longer root may
 * not send a signal. */
static void stay_for(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
	_exit(0);
}

/* A process in new namespaces of these types, which ends with this one. */
static pid_t resident(unsigned long flags)
{
	int ready[2], alive[2];
	pid_t middle, inner;

	if (pipe2(ready, O_CLOEXEC) || pipe2(alive, O_CLOEXEC))
		fail("pipe");
	fflush(stdout);
	middle = fork();
	if (middle < 0)
		fail("fork");
	if (!middle) {
		close(alive[1]);
		if (unshare(flags))
			fail("unshare");
		/* Some types only affect its children. */
		inner = fork();
		if (!inner)
			stay_for(alive[0]);
		if (inner < 0 || write(ready[1], &inner, sizeof(inner)) != sizeof(inner))
			fail("fork");
		stay_for(alive[0]);
	}
	close(alive[0]);
	close(ready[1]);
	if (read(ready[0], &inner, sizeof(inner)) != sizeof(inner))
		fail("the resident");
	close(ready[0]);
	return inner;
}

static void show_target(int fd)
{
	struct namespace is = named_by(fd);
	struct statfs of;
	int flag = ioctl(fd, NS_GET_NSTYPE);

	if (fstatfs(fd, &of))
		fail("fstatfs");
	if (flag > 0)
		printf("target nsfs %llu %llu %d\n", is.inum, is.id, flag);
	else
		printf("target %s %llu 0 0\n", of.f_type == PID_FS_MAGIC ? "pidfd" : "other",
		       is.inum);
}

static void show_result(long result)
{
	printf("result %ld\n", result < 0 ? (long)-errno : result);
}

static long clone3(struct arguments *arguments)
{
	return syscall(SYS_clone3, arguments, sizeof(*arguments));
}

/* An ordinary user, without any capability. */
static void drop(void)
{
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534))
		fail("setresuid");
}

/* one CALL FLAGS RESIDENT SLOT WHO: one call. RESIDENT: the flags of the namespaces of
 * its target. WHO: root; user, without capabilities; chrooted, that user in a chroot(2). */
static void one(char **words)
{
	const char *call = words[0], *slot = words[3], *who = words[4];
	unsigned long flags = strtoul(words[1], NULL, 0);
	unsigned long made = strtoul(words[2], NULL, 0);
	struct arguments arguments = { .flags = flags, .exit_signal = SIGCHLD };
	char task[24];
	long result;
	int fd = -1;
	pid_t pid;

	printf("tid %ld\n", syscall(SYS_gettid));
	if (!strncmp(call, "setns", 5)) {
		pid = resident(made);
		snprintf(task, sizeof(task), "%d", pid);
		if (!strcmp(call, "setns-pidfd"))
			fd = syscall(SYS_pidfd_open, pid, 0);
		else
			fd = open_namespace(task, slot);
		if (fd < 0)
			fail(slot);
		printf("pid %d\n", pid);
		show_target(fd);
	}
	if (!strcmp(who, "chrooted") && (fchdir(proc) || chroot(".")))
		fail("chroot");
	if (strcmp(who, "root"))
		drop();
	show("before", "thread-self");
	fflush(stdout);
	if (fd >= 0)
		result = syscall(SYS_setns, fd, (int)flags);
	else if (!strcmp(call, "unshare"))
		result = syscall(SYS_unshare, flags);
	else if (!strcmp(call, "clone"))
		result = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	else
		result = clone3(&arguments);
	if (!result && !strncmp(call, "clone", 5))
		stay();
	show_result(result);
	if (result > 0)
		snprintf(task, sizeof(task), "%ld", result);
	show("after", result > 0 ? task : "thread-self");
	if (result > 0)
		end(result);
}

#ifdef __x86_64__
/* The numbers of the 32-bit table. */
#define COMPAT_UNSHARE 310
#define COMPAT_SETNS 346

/* The bits of a register that this table ignores. */
#define UPPER 0x4e53657800000000

static long compat_call(long number, long first, long second)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first | UPPER), "c"(second | UPPER)
			 : "memory", "r8", "r9", "r10", "r11");
	if (result < 0)
		errno = -result;
	return result < 0 ? -1 : result;
}

/* compat CALL FLAG SLOT HOW: a call through the 32-bit table, after which it goes on
 * by fork, exec or exit. */
static void compat(char **words)
{
	const char *call = words[0], *slot = words[2], *how = words[3];
	unsigned long flag = strtoul(words[1], NULL, 0);
	char task[24];
	long result;
	int fd = -1;
	pid_t child;

	printf("tid %ld\n", syscall(SYS_gettid));
	if (!strcmp(call, "setns")) {
		snprintf(task, sizeof(task), "%d", resident(flag));
		fd = open_namespace(task, slot);
		if (fd < 0)
			fail(slot);
	}
	show("before", "thread-self");
	fflush(stdout);
	if (fd >= 0)
		result = compat_call(COMPAT_SETNS, fd, flag);
	else
		result = compat_call(COMPAT_UNSHARE, flag, 0);
	show_result(result);
	show("after", "thread-self");
	fflush(stdout);
	if (!strcmp(how, "exec")) {
		execl("/proc/self/exe", "namespaces", "nothing", NULL);
		fail("execl");
	}
	if (!strcmp(how, "fork")) {
		child = fork();
		if (!child)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("fork");
	}
}
#endif

static volatile int over;

static struct arguments shared;
static uint64_t either[2];

static void *flip(void *none)
{
	unsigned long turn;

	for (turn = 0; !over; turn++) {
		shared.flags = either[turn % 2];
		/* The race is with the thread that waits for this processor. The number is
		 * odd, so that this thread finds either flags. */
		if (turn % 101 == 0)
			sched_yield();
	}
	return none;
}

/* flip COUNT FLAGS FLAGS: clone3(2) in a loop, while another thread changes its flags.
 * Prints the namespaces of each child. */
static void flips(char **words)
{
	long i, count = strtol(words[0], NULL, 0);
	pthread_t other;
	char task[24];
	long child;

	either[0] = strtoul(words[1], NULL, 0);
	either[1] = strtoul(words[2], NULL, 0);
	shared.flags = either[0];
	shared.exit_signal = SIGCHLD;
	printf("tid %ld\n", syscall(SYS_gettid));
	show("before", "thread-self");
	fflush(stdout);
	if (pthread_create(&other, NULL, flip, NULL))
		fail("pthread_create");
	for (i = 0; i < count; i++) {
		child = clone3(&shared);
		if (!child)
			stay();
		if (child < 0)
			fail("clone3");
		show_result(child);
		snprintf(task, sizeof(task), "%ld", child);
		show("after", task);
		end(child);
	}
	over = 1;
	pthread_join(other, NULL);
}

static int each[2], taken;

static void *swap(void *none)
{
	while (!over)
		if (dup2(each[0], taken) < 0 || dup2(each[1], taken) < 0)
			fail("dup2");
	return none;
}

/* swap COUNT FLAG SLOT: setns(2) in a loop, while another thread alternates between two
 * namespaces behind the descriptor. Prints the namespaces after each call. */
static void swaps(char **words)
{
	long i, count = strtol(words[0], NULL, 0);
	unsigned long flag = strtoul(words[1], NULL, 0);
	pthread_t other;
	char task[24];

	printf("tid %ld\n", syscall(SYS_gettid));
	for (i = 0; i < 2; i++) {
		snprintf(task, sizeof(task), "%d", resident(flag));
		each[i] = open_namespace(task, words[2]);
		if (each[i] < 0)
			fail(words[2]);
	}
	taken = dup(each[0]);
	if (taken < 0)
		fail("dup");
	show("before", "thread-self");
	if (pthread_create(&other, NULL, swap, NULL))
		fail("pthread_create");
	for (i = 0; i < count; i++) {
		show_result(syscall(SYS_setns, taken, (int)flag));
		show("after", "thread-self");
	}
	over = 1;
	pthread_join(other, NULL);
}

/* churn COUNT FLAG: unshare(2) in a loop. Prints the namespaces after each call. */
static void churn(char **words)
{
	long i, count = strtol(words[0], NULL, 0);
	unsigned long flag = strtoul(words[1], NULL, 0);

	printf("tid %ld\n", syscall(SYS_gettid));
	show("before", "thread-self");
	for (i = 0; i < count; i++) {
		show_result(syscall(SYS_unshare, flag));
		show("after", "thread-self");
	}
}

static void *nothing(void *none)
{
	return none;
}

static void reap(pid_t child)
{
	if (child < 0 || waitpid(child, NULL, 0) != child)
		fail("waitpid");
}

/* Runs on one of the available processors. */
static void stay_on(long number)
{
	cpu_set_t allowed, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		fail("sched_getaffinity");
	number %= CPU_COUNT(&allowed);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && !number--)
			break;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail("sched_setaffinity");
}

/* load COUNT CPU KIND...: COUNT times each of the kinds. */
static void load(char **words)
{
	long i, count = strtol(words[0], NULL, 0);
	struct arguments makes = { .flags = CLONE_NEWUTS, .exit_signal = SIGCHLD };
	struct arguments refused = { .flags = CLONE_NEWNS | CLONE_FS, .exit_signal = SIGCHLD };
	int own = open_namespace("self", "uts");
	pthread_t thread;
	char **kind;
	long child;

	stay_on(strtol(words[1], NULL, 0));
	printf("tid %ld\n", syscall(SYS_gettid));
	fflush(stdout);
	for (i = 0; i < count; i++)
		for (kind = words + 2; *kind; kind++) {
			if (!strcmp(*kind, "rejoin")) {
				if (syscall(SYS_setns, own, CLONE_NEWUTS))
					fail("setns");
			} else if (!strcmp(*kind, "refused")) {
				if (!syscall(SYS_setns, -1, 0) || !clone3(&refused))
					fail("refused");
			} else if (!strcmp(*kind, "unshare")) {
				if (syscall(SYS_unshare, CLONE_NEWUTS))
					fail("unshare");
			} else if (!strcmp(*kind, "clone3")) {
				child = clone3(&makes);
				if (!child)
					_exit(0);
				reap(child);
			} else if (!strcmp(*kind, "fork")) {
				child = fork();
				if (!child)
					_exit(0);
				reap(child);
			} else if (!strcmp(*kind, "exec")) {
				child = vfork();
				if (!child) {
					execl("/proc/self/exe", "namespaces", "nothing", NULL);
					_exit(1);
				}
				reap(child);
			} else if (!strcmp(*kind, "thread")) {
				if (pthread_create(&thread, NULL, nothing, NULL))
					fail("pthread_create");
				pthread_join(thread, NULL);
			} else {
				fail(*kind);
			}
		}
}

static const struct {
	const char *name;
	int words;
	void (*run)(char **words);
} modes[] = {
	{ "one", 5, one },
#ifdef __x86_64__
	{ "compat", 4, compat },
#endif
	{ "flip", 3, flips },
	{ "swap", 3, swaps },
	{ "churn", 2, churn },
};

int main(int count, char **words)
{
	size_t i;

	if (count == 2 && !strcmp(words[1], "nothing"))
		return 0;
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		fail("/proc");
	if (count > 4 && !strcmp(words[1], "load")) {
		load(words + 2);
		return 0;
	}
	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (count > 1 && !strcmp(words[1], modes[i].name) && count == 2 + modes[i].words) {
			modes[i].run(words + 2);
			return 0;
		}
	fprintf(stderr, "namespaces: MODE WORDS...; see the comments in namespaces.c\n");
	return 2;
}

// Keeps a directory locked: locked_directory DIRECTORY.
//
// One thread lists the directory into memory that never becomes available
// (userfaultfd(2)), and so holds its lock for reading. A process waits to write to it.
// A process that looks up an uncached name there waits for both, and nothing ends the
// wait. This program prints a line in that state, and waits until it is killed, which
// releases the lock.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int directory;
static char *page;

static void *list(void *unused) {
	syscall(SYS_getdents64, directory, page, 4096);
	return unused;
}

int main(int argc, char **argv) {
	if (argc != 2)
		return 2;
	directory = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.range = {(unsigned long)page, 4096},
					.mode = UFFDIO_REGISTER_MODE_MISSING};
	if (directory < 0 || page == MAP_FAILED || fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &range)) {
		perror(argv[1]);
		return 1;
	}
	pthread_t lister;
	struct uffd_msg fault;
	if (pthread_create(&lister, 0, list, 0) || read(fd, &fault, sizeof(fault)) < 0)
		return 1;
	pid_t writer = fork();
	if (writer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		unlinkat(directory, "nothing", 0);
		_exit(0);
	}
	// The writer waits by then: its earlier steps are short.
	usleep(300000);
	puts("mounted");
	fflush(stdout);
	close(0);
	close(1);
	for (;;)
		pause();
}

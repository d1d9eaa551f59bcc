// A file system whose server does not answer: hanging_fs DEVICE DIRECTORY OPCODE.
//
// It answers requests until it reads one with OPCODE (linux/fuse.h). It never answers
// that request and later ones. With OPCODE 0 it reads no request at all. Every name
// except `directory` is an executable file. It prints a line after the mount and waits
// until it is killed, which ends the file system.
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char request[1 << 20];

static void answer(int fd, unsigned long unique, const void *body, size_t length) {
	static char reply[4096];
	struct fuse_out_header header = {sizeof(header) + length, 0, unique};
	memcpy(reply, &header, sizeof(header));
	memcpy(reply + sizeof(header), body, length);
	if (write(fd, reply, header.len) < 0)
		exit(3);
}

static struct fuse_attr attributes(unsigned long node) {
	struct fuse_attr attr = {.ino = node, .size = 4096, .blksize = 4096, .nlink = 1};
	attr.mode = (node == 2 ? S_IFREG : S_IFDIR) | 0755;
	return attr;
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	unsigned stop = atoi(argv[3]);
	int fd = open(argv[1], O_RDWR | O_CLOEXEC);
	char options[128];
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	if (fd < 0 || mount("hanging", argv[2], "fuse", 0, options) != 0) {
		perror(argv[2]);
		return 1;
	}
	for (;;) {
		if (read(fd, request, sizeof(request)) < (long)sizeof(struct fuse_in_header))
			return 1;
		struct fuse_in_header *in = (void *)request;
		if (in->opcode == FUSE_INIT) {
			struct fuse_init_in *init = (void *)(in + 1);
			struct fuse_init_out out = {
				.major = 7, .minor = 31, .max_readahead = init->max_readahead,
				.max_write = 4096, .max_background = 16, .time_gran = 1};
			answer(fd, in->unique, &out, sizeof(out));
			puts("mounted");
			fflush(stdout);
			close(0);
			close(1);
			if (stop == 0)
				break;
			continue;
		}
		if (in->opcode == stop)
			break;
		switch (in->opcode) {
		case FUSE_LOOKUP: {
			unsigned long node = strcmp((char *)(in + 1), "directory") ? 2 : 3;
			struct fuse_entry_out out = {.nodeid = node, .attr = attributes(node)};
			answer(fd, in->unique, &out, sizeof(out));
			break;
		}
		case FUSE_GETATTR: {
			struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
			answer(fd, in->unique, &out, sizeof(out));
			break;
		}
		case FUSE_OPEN: {
			struct fuse_open_out out = {.fh = 1, .open_flags = FOPEN_DIRECT_IO};
			answer(fd, in->unique, &out, sizeof(out));
			break;
		}
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		default: {
			struct fuse_out_header out = {sizeof(out), -38, in->unique};
			if (write(fd, &out, sizeof(out)) < 0)
				return 3;
		}
		}
	}
	for (;;)
		pause();
}

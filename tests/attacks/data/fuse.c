/* fuse PATH: mounts a FUSE file system there that answers no request but the first. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count != 2) return 2;
    int fd = open("/dev/fuse", O_RDWR);
    if (fd < 0) {
        perror("/dev/fuse");
        return 2;
    }
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
    if (mount("hang", words[1], "fuse", 0, options)) {
        perror("mount");
        return 2;
    }
    static char request[1 << 18];
    for (;;) {
        if (read(fd, request, sizeof request) < 0) return 0;
        struct fuse_in_header *in = (struct fuse_in_header *)request;
        if (in->opcode != FUSE_INIT) continue;
        struct {
            struct fuse_out_header head;
            struct fuse_init_out init;
        } answer = {.head = {.len = sizeof answer, .unique = in->unique},
                    .init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096}};
        if (write(fd, &answer, sizeof answer) < 0) return 2;
        puts("mounted");
        fflush(stdout);
    }
}

/* Makes one system call and prints its result and errno.
 *
 * call NUMBER ARGUMENT...: a number, or a text, which is passed by its address;
 *   in:PORT   the address of a sockaddr_in, 127.0.0.1
 *   un:NAME   the address of a sockaddr_un, abstract
 *   fd:tcp, fd:unix   a new socket; fd:PATH   that file, opened with O_PATH|O_RDWR
 * call listen NAME: listens on an abstract socket until it is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un abstract(const char *name, socklen_t *length) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
    *length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    return address;
}

static long argument(const char *word) {
    if (!strncmp(word, "in:", 3)) {
        struct sockaddr_in *address = calloc(1, sizeof *address);
        address->sin_family = AF_INET;
        address->sin_port = htons(atoi(word + 3));
        address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return (long)address;
    }
    if (!strncmp(word, "un:", 3)) {
        struct sockaddr_un *address = malloc(sizeof *address);
        socklen_t length;
        *address = abstract(word + 3, &length);
        return (long)address;
    }
    if (!strcmp(word, "fd:tcp")) return socket(AF_INET, SOCK_STREAM, 0);
    if (!strcmp(word, "fd:unix")) return socket(AF_UNIX, SOCK_STREAM, 0);
    if (!strncmp(word, "fd:", 3)) return open(word + 3, O_RDWR);
    char *end;
    long number = strtoul(word, &end, 0);
    return *word && !*end ? number : (long)word;
}

int main(int count, char **words) {
    if (count > 2 && !strcmp(words[1], "listen")) {
        socklen_t length;
        struct sockaddr_un address = abstract(words[2], &length);
        int listener = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 8)) return 1;
        puts("listening");
        fflush(stdout);
        for (;;) pause();
    }
    long a[7] = {0};
    for (int i = 1; i < count && i < 8; i++) a[i - 1] = argument(words[i]);
    errno = 0;
    long result = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    printf("%ld %d\n", result < 0 ? -1 : 0, errno);
    return 0;
}

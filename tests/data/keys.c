/* keys hold PROGRAM...  adds a key to a session keyring of its own, prints its number, executes
 * keys read NUMBER      prints the key, or the errno
 * keys id               prints the number of the session keyring
 * keys add              adds a key to the session keyring; prints 0, or the errno */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
    char text[64] = "";
    long result;
    if (count > 2 && !strcmp(words[1], "hold")) {
        syscall(SYS_keyctl, 1, 0);
        result = syscall(SYS_add_key, "user", "secret", "the caller's", 12, -3);
        snprintf(text, sizeof text, "%ld", result);
        setenv("KEY", text, 1);
        execvp(words[2], words + 2);
        return 1;
    }
    if (count > 1 && !strcmp(words[1], "id")) {
        result = syscall(SYS_keyctl, 0, -3, 0);
        snprintf(text, sizeof text, "%ld", result);
    } else if (count > 2 && !strcmp(words[1], "read"))
        result = syscall(SYS_keyctl, 11, atol(words[2]), text, sizeof text - 1);
    else
        result = syscall(SYS_add_key, "user", "own", "x", 1, -3);
    printf("%s\n", result < 0 ? strerror(errno) : text);
    return 0;
}

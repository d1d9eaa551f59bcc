/* renames PATH: renames a file of its own, as fast as it can. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int count, char **words) {
    char other[256];
    if (count != 2) return 2;
    snprintf(other, sizeof other, "%s-other", words[1]);
    close(open(words[1], O_CREAT | O_WRONLY, 0644));
    for (;;)
        if (rename(words[1], other) || rename(other, words[1])) return 2;
}

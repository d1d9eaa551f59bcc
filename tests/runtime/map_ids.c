/* Does the work of newuidmap(1) and newgidmap(1), without reading /etc/subuid. Prints its
 * descriptors and the number of its variables on standard error. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	char path[64], lines[4096] = "";
	size_t length = 0;
	int variables = 0, file;
	const char *name = strrchr(argv[0], '/') + 1;

	fprintf(stderr, "%s:", name);
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			fprintf(stderr, " %d", fd);
	while (environ[variables])
		variables++;
	fprintf(stderr, ", %d variables\n", variables);
	for (int i = 2; i + 2 < argc; i += 3)
		length += snprintf(lines + length, sizeof lines - length, "%s %s %s\n",
				   argv[i], argv[i + 1], argv[i + 2]);
	snprintf(path, sizeof path, "/proc/%s/%s", argv[1],
		 strstr(name, "uid") ? "uid_map" : "gid_map");
	file = open(path, O_WRONLY);
	return file < 0 || write(file, lines, length) != (ssize_t)length;
}

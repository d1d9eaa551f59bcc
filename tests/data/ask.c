/* ask PROCESS VICTIM QUESTION: copies the sockets of a stopped process, and
 *
 *   O, M, H  sends each a request to the verifier that only the helper may send, about VICTIM;
 *   E        sends each a message to the explainer that only the helper and its child may send;
 *   T        receives the queued message of each;
 *   K        keeps them until it is killed.
 *
 * Prints the number of sockets after the requests, and each reply; with T, the number of
 * sockets with a message. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int child = syscall(SYS_pidfd_open, atoi(argv[1]), 0), victim = atoi(argv[2]);
	struct pollfd sockets[8];
	int count = 0;
	for (int number = 0; number < 64 && count < 8; number++) {
		int fd = syscall(SYS_pidfd_getfd, child, number, 0), type = 0;
		socklen_t length = sizeof type;
		if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
		    (type == SOCK_SEQPACKET || strchr("TK", argv[3][0])))
			sockets[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	if (argv[3][0] == 'T') {
		int taken = 0;
		for (int i = 0; i < count; i++) {
			char answer[256];
			taken += recv(sockets[i].fd, answer, sizeof answer, MSG_DONTWAIT) > 0;
		}
		printf("sockets %d\n", taken);
		return 0;
	}
	if (argv[3][0] == 'K') {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		printf("sockets %d\n", count);
		fflush(stdout);
		pause();
	}
	char question[5] = { argv[3][0] };
	memcpy(question + 1, &victim, 4);
	int words[2][2] = { { 1, victim }, { 2, 0 } };
	for (int i = 0; i < count; i++) {
		if (argv[3][0] != 'E') {
			send(sockets[i].fd, question, sizeof question, MSG_NOSIGNAL);
			continue;
		}
		send(sockets[i].fd, words[0], sizeof words[0], MSG_NOSIGNAL);
		send(sockets[i].fd, words[1], sizeof words[1], MSG_NOSIGNAL);
	}
	printf("sockets %d\n", count);
	fflush(stdout);
	/* Until the verifier ends, which ends every socket to it; a second at most. */
	for (int round = 0; round < 1000; round++) {
		if (poll(sockets, count, 1000) == 0)
			break;
		for (int i = 0; i < count; i++) {
			char answer[256];
			ssize_t got = recv(sockets[i].fd, answer, sizeof answer, MSG_DONTWAIT);
			if (got > 0)
				printf("answer %c\n", answer[0]);
			if (got == 0)
				sockets[i].fd = -1;
		}
	}
	return 0;
}

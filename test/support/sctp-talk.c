/* One line over SCTP, for tests: `sctp-talk serve PORT` tells each client the address that it comes from,
 * `sctp-talk ask ADDRESS PORT` prints what it is told. IPv4; ends with 1 when something fails. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int serve(int fd, struct sockaddr_in *at)
{
	if (bind(fd, (struct sockaddr *)at, sizeof *at) != 0 || listen(fd, 4) != 0)
		return fail("listen");
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof from;
		int client = accept(fd, (struct sockaddr *)&from, &size);
		if (client < 0)
			return fail("accept");
		char text[64], address[INET_ADDRSTRLEN];
		inet_ntop(AF_INET, &from.sin_addr, address, sizeof address);
		int length = snprintf(text, sizeof text, "hello %s\n", address);
		if (send(client, text, (size_t)length, 0) != length)
			return fail("send");
		close(client);
	}
}

static int ask(int fd, const struct sockaddr_in *to)
{
	struct timeval limit = {.tv_sec = 10};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0)
		return fail("connect");
	char text[64];
	ssize_t length = recv(fd, text, sizeof text, 0);
	if (length <= 0)
		return fail("recv");
	return fwrite(text, 1, (size_t)length, stdout) == (size_t)length ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int asks = argc == 4 && strcmp(argv[1], "ask") == 0;
	if (!asks && !(argc == 3 && strcmp(argv[1], "serve") == 0))
		return 2;
	address.sin_port = htons((unsigned short)atoi(argv[argc - 1]));
	if (asks && inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		return 2;
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	if (fd < 0)
		return fail("socket");
	return asks ? ask(fd, &address) : serve(fd, &address);
}

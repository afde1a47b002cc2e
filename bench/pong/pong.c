// pong answers GOPR PINGs: one thread, epoll, one read and one write for what has come. It is what the protocol costs at the least.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 10, ROOM = 64 << 10, MAXFD = 1 << 16 };

// What a connection has sent of a frame that is not whole; NULL: nothing.
static struct rest {
	unsigned char *b;
	size_t n;
} rests[MAXFD];

static unsigned char room[ROOM];

static void end(int fd) {
	free(rests[fd].b);
	rests[fd] = (struct rest){0};
	close(fd);
}

// answer turns the whole PINGs in b into PONGs, and returns how many bytes they are; -1: it is not the protocol.
static ssize_t answer(unsigned char *b, size_t n) {
	size_t used = 0;
	while (n - used >= HEADER) {
		unsigned char *f = b + used;
		size_t size = HEADER + (f[6] << 8 | f[7]);
		if (memcmp(f, "GOPR", 4) || f[8] != 0x01 || f[9] != 0x01)
			return -1;
		if (n - used < size)
			break;
		f[8] = f[9] = 0x02;
		used += size;
	}
	return used;
}

// serve reads and answers once. A peer that does not read its answers is not served further: this is no server for the world.
static int serve(int fd) {
	struct rest *r = &rests[fd];
	memcpy(room, r->b, r->n);
	ssize_t n = read(fd, room + r->n, ROOM - r->n);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	n += r->n;
	ssize_t used = answer(room, n);
	if (used < 0)
		return 0;
	for (ssize_t sent = 0; sent < used;) {
		ssize_t w = write(fd, room + sent, used - sent);
		if (w < 0 && errno != EAGAIN)
			return 0;
		if (w > 0)
			sent += w;
	}
	free(r->b);
	*r = (struct rest){0};
	if (n > used) {
		r->n = n - used;
		r->b = malloc(r->n);
		memcpy(r->b, room + used, r->n);
	}
	return 1;
}

int main(int argc, char **argv) {
	char *colon = argc == 2 ? strrchr(argv[1], ':') : NULL;
	if (!colon) {
		fprintf(stderr, "usage: pong 127.0.0.1:7450\n");
		return 2;
	}
	*colon = 0;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
	inet_pton(AF_INET, argv[1], &addr.sin_addr);
	int one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(l, (void *)&addr, sizeof addr) || listen(l, 4096)) {
		perror(argv[1]);
		return 1;
	}
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = l}, evs[256];
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev);
	for (;;) {
		int n = epoll_wait(ep, evs, 256, -1);
		for (int i = 0; i < n; i++) {
			int fd = evs[i].data.fd;
			if (fd != l) {
				if (!serve(fd))
					end(fd);
				continue;
			}
			while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				if (fd >= MAXFD) {
					close(fd);
					continue;
				}
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				ev = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
			}
		}
	}
}

/* The least that a load generator does: connections in one epoll loop, a message each in flight, sent again as soon as
 * it is back. Nothing is verified, nothing is timed but the whole.
 *
 *   pingpong PORT CONNECTIONS SIZE SECONDS
 *
 * Prints the messages that came back in that time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char out[1 << 20], in[1 << 20];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

int main(int argc, char **argv) {
    must(argc == 5, "pingpong PORT CONNECTIONS SIZE SECONDS");
    int connections = atoi(argv[2]), size = atoi(argv[3]);
    double seconds = atof(argv[4]);
    int *got = calloc(1 << 20, sizeof *got), epoll = epoll_create1(0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
        must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
        must(send(fd, out, size, MSG_NOSIGNAL) == size, "send");
    }
    long messages = 0;
    double end = now() + seconds;
    while (now() < end) {
        struct epoll_event ready[256];
        int count = epoll_wait(epoll, ready, 256, 1000);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            ssize_t n = recv(fd, in, sizeof in, 0);
            must(n > 0, "recv");
            got[fd] += n;
            if (got[fd] == size) {
                got[fd] = 0;
                messages++;
                must(send(fd, out, size, MSG_NOSIGNAL) == size, "send");
            }
        }
    }
    printf("%ld\n", messages);
    return 0;
}

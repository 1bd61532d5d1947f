/* An echo server with all that is known to help: edge-triggered, 64 KiB, TCP_NODELAY, accept until there is nobody, a
 * recv tried at accept, no recv after a short one, and only what a short send leaves is kept.
 *
 *   epoll-tuned [unix:PATH]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BLOCK = 1 << 16 };

struct connection {
    int fd, hung_up;
    size_t left;
    char *kept;
};

static char block[BLOCK];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* Echoes until there is nothing to read, or nothing more is taken. Whether it goes on. */
static int echo(struct connection *c) {
    for (;;) {
        while (c->left) {
            ssize_t n = send(c->fd, c->kept, c->left, MSG_NOSIGNAL);
            if (n < 0)
                return errno == EAGAIN;
            c->left -= n;
            memmove(c->kept, c->kept + n, c->left);
        }
        ssize_t n = recv(c->fd, block, BLOCK, 0);
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        ssize_t sent = send(c->fd, block, n, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN)
                return 0;
            sent = 0;
        }
        if (sent < n) {
            if (!c->kept && !(c->kept = malloc(BLOCK)))
                return 0;
            c->left = n - sent;
            memcpy(c->kept, block + sent, c->left);
            continue;
        }
        if (n < BLOCK && !c->hung_up)
            return 1;
    }
}

static void drop(struct connection *c) {
    close(c->fd);
    free(c->kept);
    free(c);
}

static void accept_all(int epoll, int listener, int tcp) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (tcp)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            fail("calloc");
        c->fd = fd;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        if (!echo(c) || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
            drop(c);
    }
}

static int listen_at(const char *path) {
    int listener;
    if (path) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        strncpy(at.sun_path, path, sizeof at.sun_path - 1);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, SOMAXCONN))
            fail("listen");
        printf("listening %s\n", path);
    } else {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof at;
        listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, SOMAXCONN) ||
            getsockname(listener, (struct sockaddr *)&at, &len))
            fail("listen");
        printf("listening %d\n", ntohs(at.sin_port));
    }
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 && !strncmp(argv[1], "unix:", 5) ? argv[1] + 5 : NULL;
    int listener = listen_at(path), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event ready[1024];
        int count = epoll_wait(epoll, ready, 1024, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) {
                accept_all(epoll, listener, !path);
                continue;
            }
            c->hung_up |= !!(ready[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
            if (!echo(c))
                drop(c);
        }
    }
}

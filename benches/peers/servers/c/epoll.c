/* An echo server as the manual page of epoll(7) has it: one loop, level-triggered, 4 KiB, no socket option.
 *
 *   epoll
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    static char buf[4096];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, SOMAXCONN) ||
        getsockname(listener, (struct sockaddr *)&at, &len)) {
        perror("listen");
        return 1;
    }
    printf("listening %d\n", ntohs(at.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event ready[64];
        int count = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = client};
                if (client >= 0)
                    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
                continue;
            }
            /* Blocking sockets: what the peer does not take, everybody waits for. */
            ssize_t n = recv(fd, buf, sizeof buf, 0);
            if (n <= 0 || send(fd, buf, n, MSG_NOSIGNAL) != n)
                close(fd);
        }
    }
}

/*
 * The server of Microsoft's Winsock tutorial, as a POSIX program: the same calls in the same order, the same
 * lines. Written anew after the published structure.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_BUFLEN 512
#define DEFAULT_PORT "27015"

static int failed(const char *call, int error)
{
    printf("%s failed with error: %d\n", call, error);
    return 1;
}

int main(void)
{
    struct addrinfo hints, *result = NULL;
    char recvbuf[DEFAULT_BUFLEN];
    ssize_t received, sent;
    int listening, client, error;

    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    hints.ai_flags = AI_PASSIVE;

    error = getaddrinfo(NULL, DEFAULT_PORT, &hints, &result);
    if (error != 0)
        return failed("getaddrinfo", error);

    listening = socket(result->ai_family, result->ai_socktype, result->ai_protocol);
    if (listening < 0)
        return failed("socket", errno);

    if (bind(listening, result->ai_addr, result->ai_addrlen) < 0)
        return failed("bind", errno);
    freeaddrinfo(result);

    if (listen(listening, SOMAXCONN) < 0)
        return failed("listen", errno);

    client = accept(listening, NULL, NULL);
    if (client < 0)
        return failed("accept", errno);

    /* One client is all it serves. */
    close(listening);

    do {
        received = recv(client, recvbuf, sizeof recvbuf, 0);
        if (received > 0) {
            printf("Bytes received: %d\n", (int)received);
            sent = send(client, recvbuf, (size_t)received, MSG_NOSIGNAL);
            if (sent < 0)
                return failed("send", errno);
            printf("Bytes sent: %d\n", (int)sent);
        } else if (received == 0) {
            printf("Connection closing...\n");
        } else {
            return failed("recv", errno);
        }
    } while (received > 0);

    if (shutdown(client, SHUT_WR) < 0)
        return failed("shutdown", errno);

    close(client);
    return 0;
}

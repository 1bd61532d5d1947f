/*
 * The client of Microsoft's Winsock tutorial, as a POSIX program: the same calls in the same order, the same
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

int main(int argc, char **argv)
{
    struct addrinfo hints, *result = NULL, *each;
    const char *sendbuf = "this is a test";
    char recvbuf[DEFAULT_BUFLEN];
    int server = -1, error;
    ssize_t count;

    if (argc != 2) {
        printf("usage: %s server-name\n", argv[0]);
        return 1;
    }

    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;

    error = getaddrinfo(argv[1], DEFAULT_PORT, &hints, &result);
    if (error != 0)
        return failed("getaddrinfo", error);

    for (each = result; each != NULL; each = each->ai_next) {
        server = socket(each->ai_family, each->ai_socktype, each->ai_protocol);
        if (server < 0)
            return failed("socket", errno);
        if (connect(server, each->ai_addr, each->ai_addrlen) == 0)
            break;
        close(server);
        server = -1;
    }
    freeaddrinfo(result);
    if (server < 0) {
        printf("Unable to connect to server!\n");
        return 1;
    }

    count = send(server, sendbuf, strlen(sendbuf), MSG_NOSIGNAL);
    if (count < 0)
        return failed("send", errno);
    printf("Bytes Sent: %d\n", (int)count);

    if (shutdown(server, SHUT_WR) < 0)
        return failed("shutdown", errno);

    do {
        count = recv(server, recvbuf, sizeof recvbuf, 0);
        if (count > 0)
            printf("Bytes received: %d\n", (int)count);
        else if (count == 0)
            printf("Connection closed\n");
        else
            failed("recv", errno);
    } while (count > 0);

    close(server);
    return 0;
}

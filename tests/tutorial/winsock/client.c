/*
 * The client of Microsoft's Winsock tutorial: the same calls in the same order, the same lines. Written anew after
 * the published structure.
 */
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_BUFLEN 512
#define DEFAULT_PORT "27015"

/* Says which call failed, and leaves Winsock. */
static int failed(const char *call, int error)
{
    printf("%s failed with error: %d\n", call, error);
    WSACleanup();
    return 1;
}

int main(int argc, char **argv)
{
    WSADATA data;
    struct addrinfo hints, *result = NULL, *each;
    const char *sendbuf = "this is a test";
    char recvbuf[DEFAULT_BUFLEN];
    SOCKET server = INVALID_SOCKET;
    int count, error;

    if (argc != 2) {
        printf("usage: %s server-name\n", argv[0]);
        return 1;
    }

    error = WSAStartup(MAKEWORD(2, 2), &data);
    if (error != 0) {
        printf("WSAStartup failed with error: %d\n", error);
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
        if (server == INVALID_SOCKET)
            return failed("socket", WSAGetLastError());
        if (connect(server, each->ai_addr, (int)each->ai_addrlen) != SOCKET_ERROR)
            break;
        closesocket(server);
        server = INVALID_SOCKET;
    }
    freeaddrinfo(result);
    if (server == INVALID_SOCKET) {
        printf("Unable to connect to server!\n");
        WSACleanup();
        return 1;
    }

    count = send(server, sendbuf, (int)strlen(sendbuf), 0);
    if (count == SOCKET_ERROR)
        return failed("send", WSAGetLastError());
    printf("Bytes Sent: %d\n", count);

    if (shutdown(server, SD_SEND) == SOCKET_ERROR)
        return failed("shutdown", WSAGetLastError());

    do {
        count = recv(server, recvbuf, sizeof recvbuf, 0);
        if (count > 0)
            printf("Bytes received: %d\n", count);
        else if (count == 0)
            printf("Connection closed\n");
        else
            printf("recv failed with error: %d\n", WSAGetLastError());
    } while (count > 0);

    closesocket(server);
    WSACleanup();
    return 0;
}

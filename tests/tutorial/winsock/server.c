/*
 * The server of Microsoft's Winsock tutorial: the same calls in the same order, the same lines. Written anew after
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

int main(void)
{
    WSADATA data;
    struct addrinfo hints, *result = NULL;
    SOCKET listening, client;
    char recvbuf[DEFAULT_BUFLEN];
    int received, sent, error;

    error = WSAStartup(MAKEWORD(2, 2), &data);
    if (error != 0) {
        printf("WSAStartup failed with error: %d\n", error);
        return 1;
    }

    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    hints.ai_flags = AI_PASSIVE;

    error = getaddrinfo(NULL, DEFAULT_PORT, &hints, &result);
    if (error != 0)
        return failed("getaddrinfo", error);

    listening = socket(result->ai_family, result->ai_socktype, result->ai_protocol);
    if (listening == INVALID_SOCKET)
        return failed("socket", WSAGetLastError());

    if (bind(listening, result->ai_addr, (int)result->ai_addrlen) == SOCKET_ERROR)
        return failed("bind", WSAGetLastError());
    freeaddrinfo(result);

    if (listen(listening, SOMAXCONN) == SOCKET_ERROR)
        return failed("listen", WSAGetLastError());

    client = accept(listening, NULL, NULL);
    if (client == INVALID_SOCKET)
        return failed("accept", WSAGetLastError());

    /* One client is all it serves. */
    closesocket(listening);

    do {
        received = recv(client, recvbuf, sizeof recvbuf, 0);
        if (received > 0) {
            printf("Bytes received: %d\n", received);
            sent = send(client, recvbuf, received, 0);
            if (sent == SOCKET_ERROR)
                return failed("send", WSAGetLastError());
            printf("Bytes sent: %d\n", sent);
        } else if (received == 0) {
            printf("Connection closing...\n");
        } else {
            return failed("recv", WSAGetLastError());
        }
    } while (received > 0);

    if (shutdown(client, SD_SEND) == SOCKET_ERROR)
        return failed("shutdown", WSAGetLastError());

    closesocket(client);
    WSACleanup();
    return 0;
}

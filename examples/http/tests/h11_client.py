"""Checks a server with h11, an independent HTTP/1.1 library: python3 h11_client.py HOST PORT

Everything that comes from the server goes through h11's state machine of a client, which raises for what a server may not send.
"""

import socket
import sys

import h11

HOST, PORT = sys.argv[1], int(sys.argv[2])


class Closed(Exception):
    """The server closed where a response was expected."""


class Client:
    """A connection with h11's state for it."""

    def __init__(self):
        self.socket = socket.create_connection((HOST, PORT), timeout=30)
        self.state = h11.Connection(h11.CLIENT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *events):
        self.socket.sendall(b"".join(self.state.send(event) or b"" for event in events))

    def event(self):
        while True:
            event = self.state.next_event()
            if event is not h11.NEED_DATA:
                return event
            self.state.receive_data(self.socket.recv(65536))

    def response(self):
        """The final response and its body; what was interim before it."""
        interim, event = [], self.event()
        while isinstance(event, h11.InformationalResponse):
            interim.append(event.status_code)
            event = self.event()
        if isinstance(event, h11.ConnectionClosed):
            raise Closed
        assert isinstance(event, h11.Response), event
        body = b""
        while True:
            part = self.event()
            if isinstance(part, h11.EndOfMessage):
                return event, body, interim
            body += part.data

    def exchange(self, method, target, headers=(), body=()):
        """One request and its response, with the connection ready for the next."""
        self.send(h11.Request(method=method, target=target, headers=[("Host", HOST), *headers]))
        self.send(*(h11.Data(data=part) for part in body), h11.EndOfMessage())
        response = self.response()
        if self.state.our_state is h11.DONE and self.state.their_state is h11.DONE:
            self.state.start_next_cycle()
        return response

    def is_closed(self):
        return isinstance(self.event(), h11.ConnectionClosed)


def fields(response):
    return {name.decode(): value.decode() for name, value in response.headers}


def fnv(body):
    value = 0x811C9DC5
    for byte in body:
        value = (value ^ byte) * 0x01000193 % (1 << 32)
    return b"%d %08x\n" % (len(body), value)


CHUNKED = ("Transfer-Encoding", "chunked")


def methods_and_targets():
    with Client() as client:
        response, body, _ = client.exchange("GET", "/")
        assert (response.status_code, body) == (200, b"hello\n")
        assert fields(response) == {"content-type": "text/plain", "content-length": "6"}, response
        response, body, _ = client.exchange("HEAD", "/")
        assert (fields(response)["content-length"], body) == ("6", b"")
        pattern = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+\n"
        for count in (0, 1, 64, 65, 1_000_000):
            response, body, _ = client.exchange("GET", f"/bytes/{count}")
            assert body == (pattern * (count // 64 + 1))[:count]
            response, body, _ = client.exchange("HEAD", f"/bytes/{count}")
            assert (fields(response)["content-length"], body) == (str(count), b"")
        assert client.exchange("GET", f"http://{HOST}:{PORT}/bytes/3?a")[1] == b"ABC"
        assert client.exchange("GET", "/none")[0].status_code == 404
        assert client.exchange("HEAD", "/none")[0].status_code == 404
        response, _, _ = client.exchange("GET", "/echo")
        assert (response.status_code, fields(response)["allow"]) == (405, "POST")
        assert client.exchange("DELETE", "/")[0].status_code == 405
        assert client.exchange("OPTIONS", "*")[0].status_code == 405
        assert client.exchange("BREW", "/")[0].status_code == 501
        # After all this, the connection is as good as new.
        assert client.exchange("GET", "/")[1] == b"hello\n"


def bodies():
    with Client() as client:
        for parts in ([], [b"a"], [b"abc", b"\r\n0\r\n\r\n", b"x" * 10_000], [b"y" * 5000] * 20):
            whole = b"".join(parts)
            length = ("Content-Length", str(len(whole)))
            response, body, _ = client.exchange("POST", "/echo", [length], parts)
            assert body == whole and fields(response).get("content-length", "") == str(len(whole))
            response, body, _ = client.exchange("POST", "/echo", [CHUNKED], parts)
            assert body == whole and fields(response)["transfer-encoding"] == "chunked"
            for headers in ([length], [CHUNKED]):
                assert client.exchange("POST", "/count", headers, parts)[1] == fnv(whole)
            # A body that is not asked for is skipped.
            assert client.exchange("GET", "/", [length], parts)[1] == b"hello\n"
            assert client.exchange("PUT", "/a", [CHUNKED], parts)[0].status_code == 405
        trailers = h11.EndOfMessage(headers=[("A", "b")])
        client.send(h11.Request(method="POST", target="/echo", headers=[("Host", HOST), CHUNKED]))
        client.send(h11.Data(data=b"abc"), trailers)
        assert client.response()[1] == b"abc"


def echoes_are_streamed():
    with Client() as client:
        client.send(h11.Request(method="POST", target="/echo", headers=[("Host", HOST), CHUNKED]))
        for number in range(20):
            part = b"%d" % number
            client.send(h11.Data(data=part))
            if number == 0:
                assert isinstance(client.event(), h11.Response)
            came = b""
            while came != part:
                came += client.event().data
        client.send(h11.EndOfMessage())
        assert isinstance(client.event(), h11.EndOfMessage)


def expectations():
    for target, answer in (("/echo", b"abc"), ("/count", fnv(b"abc"))):
        for headers in ([("Content-Length", "3")], [CHUNKED]):
            with Client() as client:
                headers = [("Host", HOST), ("Expect", "100-continue"), *headers]
                client.send(h11.Request(method="POST", target=target, headers=headers))
                assert client.event().status_code == 100
                client.send(h11.Data(data=b"abc"), h11.EndOfMessage())
                assert client.response()[1] == answer
    with Client() as client:
        headers = [("Host", HOST), ("Expect", "100-continue"), ("Content-Length", "3")]
        client.send(h11.Request(method="PUT", target="/", headers=headers))
        response, _, interim = client.response()
        assert (response.status_code, interim) == (405, []) and client.is_closed()
        assert fields(response)["allow"] == "GET, HEAD, POST"
    with Client() as client:
        client.send(h11.Request(method="GET", target="/", headers=[("Host", HOST), ("Expect", "a")]))
        client.send(h11.EndOfMessage())
        assert client.response()[0].status_code == 417 and client.is_closed()


def pipelines():
    """h11 sends one request at a time: the bytes of many are sent at once, and its state follows."""
    client = Client()
    requests, answers = b"", []
    for number in range(200):
        text = b"%d" % number
        requests += b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        requests += b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number
        answers += [text, None]
    client.socket.sendall(requests)
    for number, answer in enumerate(answers):
        target = "/echo" if answer is not None else "/bytes"
        client.state.send(h11.Request(method="GET", target=target, headers=[("Host", "a")]))
        client.state.send(h11.EndOfMessage())
        body = client.response()[1]
        assert body == answer if answer is not None else len(body) == number // 2
        client.state.start_next_cycle()
    client.socket.close()


def connections_that_close():
    with Client() as client:
        response, body, _ = client.exchange("GET", "/", [("Connection", "close")])
        assert body == b"hello\n" and fields(response)["connection"] == "close" and client.is_closed()
    for headers, is_kept in ((b"", False), (b"Connection: keep-alive\r\n", True)):
        with Client() as client:
            client.state.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
            client.state.send(h11.EndOfMessage())
            client.socket.sendall(b"GET / HTTP/1.0\r\n" + headers + b"\r\n")
            response, body, _ = client.response()
            assert body == b"hello\n"
            assert fields(response)["connection"] == ("keep-alive" if is_kept else "close")
            if not is_kept:
                assert client.is_closed()


def refusals():
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    line, host = b"POST /echo HTTP/1.1\r\n", b"Host: a\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n"
    for request, status in (
        (line + b"\r\n", 400),
        (line + host + host + b"\r\n", 400),
        (line + b"Host: a b\r\n\r\n", 400),
        (line + host + b"Content-Length: 3\r\n" + chunked + b"\r\n0\r\n\r\n", 400),
        (line + host + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (line + host + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (line + host + b"Content-Length: 3, 3\r\n\r\nabc", 400),
        (line + host + b"Content-Length : 3\r\n\r\nabc", 400),
        (line + host + b"A: b\r\n c\r\n\r\n", 400),
        (line + host + b"A: b\rContent-Length: 3\r\n\r\nabc", 400),
        (line + host + b"A: b\n\n", 400),
        (line + host + chunked + b"\r\n10000000000000003\r\nabc", 400),
        (line + host + chunked + b"\r\n3 \r\nabc", 400),
        (line + host + b"Content-Length: 99999999999999999999999\r\n\r\n", 413),
        (line + host + b"A: " + b"x" * 9000, 431),
        (line + host + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /\r\n", 400),
    ):
        with Client() as client:
            client.state.send(h11.Request(method="POST", target="/", headers=[("Host", "a")]))
            client.state.send(h11.EndOfMessage())
            client.socket.sendall(request + smuggled)
            response, _, _ = client.response()
            assert response.status_code == status, (request, response)
            assert fields(response)["connection"] == "close" and client.is_closed()


def bodies_that_break_off():
    for framing, part in ((b"Content-Length: 9", b"abc"), (b"Transfer-Encoding: chunked", b"9\r\nabc")):
        for target in (b"/echo", b"/count"):
            with Client() as client:
                client.state.send(h11.Request(method="POST", target="/", headers=[("Host", "a")]))
                client.state.send(h11.EndOfMessage())
                head = b"POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % (target, framing)
                client.socket.sendall(head + part)
                client.socket.shutdown(socket.SHUT_WR)
                try:
                    response = client.response()
                except (Closed, ConnectionResetError, h11.RemoteProtocolError):
                    continue
                raise AssertionError(f"half a body was answered: {response}")


CHECKS = (
    methods_and_targets,
    bodies,
    echoes_are_streamed,
    expectations,
    pipelines,
    connections_that_close,
    refusals,
    bodies_that_break_off,
)
for check in CHECKS:
    check()
    print(check.__name__)

"""A TCP proxy that carries requests through and can lose the answer, as networks do."""

import contextlib
import random
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

SHARE_LOST = 0.1


class LossyProxy(socketserver.ThreadingTCPServer):
    """Forwards to `target`; while `lose` holds a piece of a request line, answers to such requests are dropped.

    With `dice`, one request in ten does not arrive, and the answer to one in ten is dropped. `instead` has answers to
    requests that then do not arrive, and `before` what happens once before one arrives, by a piece of a request line.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = (urlsplit(target).hostname, urlsplit(target).port)
        self.lose = b""
        self.dice: random.Random | None = None
        self.lost = 0
        self.instead: dict[bytes, bytes] = {}
        self.before: dict[bytes, Callable[[], object]] = {}

    def is_unlucky(self) -> bool:
        """Whether a request or an answer is lost now, when chance decides."""
        unlucky = self.dice is not None and self.dice.random() < SHARE_LOST
        self.lost += unlucky
        return unlucky

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.BaseRequestHandler):
    server: LossyProxy

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as upstream, contextlib.suppress(OSError):
            if self.server.is_unlucky():
                return
            head = self._forward_request(upstream)
            answer = b"".join(iter(lambda: upstream.recv(65536), b""))
            if self.server.lose and self.server.lose in head:
                self.server.lost += 1
            elif not self.server.is_unlucky():
                self.request.sendall(answer)

    def _forward_request(self, upstream: socket.socket) -> bytes:
        """Send one whole request on, asking for the connection to be closed after it; its request line."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.request.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        headers = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        length = next((int(h.split(b":")[1]) for h in headers if h.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            body += self.request.recv(65536)
        for piece in [piece for piece in self.server.before if piece in headers[0]]:
            self.server.before.pop(piece)()
        if said := next((said for piece, said in self.server.instead.items() if piece in headers[0]), None):
            self.request.sendall(said)
            raise ConnectionAbortedError
        upstream.sendall(b"\r\n".join([*headers, b"Connection: close"]) + b"\r\n\r\n" + body)
        return headers[0]


@contextlib.contextmanager
def lossy_proxy(target: str) -> Iterator[LossyProxy]:
    with LossyProxy(target) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def http_answer(status: str, body: bytes, kind: str = "application/json") -> bytes:
    """An answer as it goes over the wire, for `instead`."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body

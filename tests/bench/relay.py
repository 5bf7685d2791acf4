"""A relay in front of Label Studio that tells how long Label Studio took: the rest of a call is ours."""

import contextlib
import select
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass
class Exchange:
    """One request and its answer: when its first piece came here, and when the last piece of the answer did so far."""

    begun: float
    ended: float | None = None


class Relay(socketserver.ThreadingTCPServer):
    """Carries what comes to `url` to `target` and back, a connection for a connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.target = ""
        self.exchanges: list[Exchange] = []

    def seconds_taken(self) -> float:
        """What Label Studio took for the requests since this was asked last; all of them are answered."""
        told, self.exchanges = self.exchanges, []
        return sum(one.ended - one.begun for one in told if one.ended)


class _Connection(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        to = urlsplit(self.server.target)
        with contextlib.suppress(OSError), socket.create_connection((to.hostname, to.port)) as there:
            for side in (self.request, there):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.carry(there)

    def carry(self, there: socket.socket) -> None:
        exchange = Exchange(0, 0)
        while True:
            for side in select.select([self.request, there], [], [])[0]:
                piece, now = side.recv(65536), time.perf_counter()
                if not piece:
                    return
                if side is there:
                    exchange.ended = now
                    self.request.sendall(piece)
                    continue
                if exchange.ended is not None:
                    exchange = Exchange(now)
                    self.server.exchanges.append(exchange)
                there.sendall(piece)


@contextlib.contextmanager
def relay() -> Iterator[Relay]:
    """One that runs for the block; its `target` may be named later."""
    with Relay() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()

"""Clients of the upload benchmark: tus and the plain form, over connections that break off as those of phones do."""

import base64
import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = "b" * 32
BODY = "application/offset+octet-stream"
RETRIES = 4
ERRORS = (OSError, http.client.HTTPException, KeyError)  # no offset in the answer: it was refused, look again


@dataclass(frozen=True)
class Person:
    """A signed-in contributor who sends to one call. `pace` in bytes a second; 0: as fast as it goes."""

    server: str
    session: str
    slug: str
    pace: int = 0

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.server, timeout=60)
        cookie = f"likeness_session={self.session}; likeness_csrf={TOKEN}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Cookie": cookie, "X-CSRFToken": TOKEN, "Content-Length": str(len(body))}
        with contextlib.closing(connection):
            connection.request(method, path, self._paced(body) if self.pace else body, named)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def _paced(self, body: bytes) -> Iterator[bytes]:
        step = self.pace // 10
        for begin in range(0, len(body), step):
            yield body[begin : begin + step]
            time.sleep(0.1)

    def tus(self, content: bytes, reference: str) -> bool:
        """Send one file by tus; whether this client knows in the end that it is there."""
        address = ""
        for _ in range(1 + RETRIES):
            with contextlib.suppress(*ERRORS):
                address, there = self._further(content, reference, address)
                if there == len(content):
                    return True
        return False

    def _further(self, content: bytes, reference: str, address: str) -> tuple[str, int]:
        tus = {"Tus_Resumable": "1.0.0"}
        if not address:
            told = f"reference {base64.b64encode(reference.encode()).decode()}"
            length = {"Upload_Length": str(len(content)), "Upload_Metadata": told}
            _, answer, _ = self.ask("POST", f"/calls/{self.slug}/uploads/", content, Content_Type=BODY, **length, **tus)
            return answer.get("location", ""), int(answer.get("upload-offset", -1))
        _, answer, _ = self.ask("HEAD", address, **tus)
        begin = int(answer["upload-offset"])
        if begin < len(content):
            offset = {"Upload_Offset": str(begin)}
            _, answer, _ = self.ask("PATCH", address, content[begin:], Content_Type=BODY, **offset, **tus)
        return address, int(answer["upload-offset"])

    def form(self, content: bytes, reference: str) -> bool:
        """Send one file by the plain form, as often as tus may."""
        edge = "edge-of-the-form"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="photos"; filename="{reference}.jpg"\r\n'
        body = f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + content + f"\r\n--{edge}--\r\n".encode()
        kind = {"Content_Type": f"multipart/form-data; boundary={edge}", "Accept": "application/json"}
        for _ in range(1 + RETRIES):
            with contextlib.suppress(*ERRORS, ValueError):
                status, _, answer = self.ask("POST", f"/calls/{self.slug}/upload/", body, **kind)
                if status == 200 and json.loads(answer)["files"][0]["image_id"]:
                    return True
        return False


class Train:
    """A proxy before `server` that cuts one connection in ten somewhere and loses the answer of 3 in 100."""

    CUT, LOST = 0.10, 0.03

    def __init__(self, server: str, seed: int, longest: int) -> None:
        host, port = server.split(":")
        self.server, self.random, self.longest = (host, int(port)), random.Random(seed), longest
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                fate = self.random.random()
                cut = self.random.randrange(self.longest) if fate < self.CUT else None
                lost = self.CUT <= fate < self.CUT + self.LOST
                threading.Thread(target=self._carry, args=(client, cut, lost), daemon=True).start()

    def _carry(self, client: socket.socket, cut: int | None, lost: bool) -> None:
        """Both ways, until a side ends; after `cut` bytes from the client nothing more."""
        with client, socket.create_connection(self.server) as server, contextlib.suppress(OSError):
            back = threading.Thread(target=self._back, args=(server, client, lost), daemon=True)
            back.start()
            carried = 0
            while piece := client.recv(1 << 16):
                server.sendall(piece if cut is None else piece[: max(0, cut - carried)])
                carried += len(piece)
                if cut is not None and carried >= cut:
                    return
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _back(self, server: socket.socket, client: socket.socket, lost: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(1 << 16):
                if lost:
                    break
                client.sendall(piece)
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.listening.close()

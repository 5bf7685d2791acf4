"""The bodies of tus requests: appended piece by piece, and read to their end even where nothing of them is wanted.

Whoever answers before the body is through leaves a browser on a slow line with a connection that "broke off": it sends
the same again, and never hears the answer.
"""

import base64
import hashlib
import tempfile
import time
import uuid
from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest

from collection import parts
from consent.connections import give_back

BODY = "application/offset+octet-stream"
DIGESTS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}  # sha1 because every tus server has it: it finds accidents
PIECE = 64 * 1024  # what is lost at most when a connection breaks off
SILENCE = 30.0  # seconds without a byte: the sender has gone through a tunnel and will come back by another connection
PATIENCE = 120.0  # seconds for a body of which nothing is wanted


class BadRequest(Exception):
    """What was asked is not tus, with the HTTP status and a sentence for whoever writes a client."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status, self.says = status, says


def append(request: HttpRequest, upload_id: uuid.UUID, offset: int, length: int) -> int:
    """Append the next `length` bytes of the body; the offset after them. What came before it broke off stays.

    BadRequest if they are not what Upload-Checksum says; parts.Moved, FileNotFoundError as of parts.append.
    """
    _hang_up_on_silence(request)
    digest = request.headers.get("Upload-Checksum")
    if digest is None:
        return parts.append(upload_id, offset, _pieces(request, length))
    return _append_checked(request, upload_id, offset, length, digest)


def _append_checked(request: HttpRequest, upload_id: uuid.UUID, offset: int, length: int, digest: str) -> int:
    """Append the body if it has the digest that its sender announced: nothing of it is kept otherwise."""
    algorithm, _, expected = digest.partition(" ")
    if algorithm not in DIGESTS:
        raise BadRequest(400, f"Upload-Checksum: one of {', '.join(DIGESTS)}.")
    found = DIGESTS[algorithm]()
    with tempfile.SpooledTemporaryFile(max_size=4 * PIECE) as held:
        for piece in _pieces(request, length):
            found.update(piece)
            held.write(piece)
        if base64.b64encode(found.digest()).decode() != expected.strip():
            raise BadRequest(460, "The bytes were damaged on their way. Send them again.")
        held.seek(0)
        return parts.append(upload_id, offset, iter(lambda: held.read(PIECE), b""))


def skip(request: HttpRequest, length: int) -> None:
    """Read past the next `length` bytes of the body."""
    _hang_up_on_silence(request)
    for _ in _pieces(request, length):
        pass


def read_past(request: HttpRequest) -> None:
    """Read what nobody has read of the body, so that the answer is heard. Not for longer than PATIENCE, and not of what
    is larger than anything that we take: whoever sends that is no browser of ours."""
    left = request.headers.get("Content-Length", "")
    if not left.isascii() or not left.isdecimal() or not 0 < int(left) <= settings.UPLOAD_MAX_BYTES:
        return
    _hang_up_on_silence(request)
    until = time.monotonic() + PATIENCE
    for _ in _pieces(request, int(left)):
        if time.monotonic() > until:
            return


def _pieces(request: HttpRequest, length: int) -> Iterator[bytes]:
    give_back()  # the next byte may take as long as a tunnel
    while length > 0:
        try:
            piece = request.read(min(PIECE, length))
        except OSError:  # broken off, or silent for too long
            return
        if not piece:
            return
        length -= len(piece)
        yield piece


def _hang_up_on_silence(request: HttpRequest) -> None:
    """Where the server hands us the connection (gunicorn does), let it end when nothing comes for a while."""
    connection = request.environ.get("gunicorn.socket") if hasattr(request, "environ") else None
    if connection is not None:
        connection.settimeout(SILENCE)

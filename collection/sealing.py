"""Bytes sealed by AES-256-GCM in chunks, bound to the key (name) they are stored under. No Django.

Layout: MAGIC, the SHA-256 of the content as salt, then chunks of CHUNK bytes of content, each with its 16-byte tag. A
file's own key is HKDF-SHA256(image key, salt, name); nonces count chunks and mark the last one, so that chunks cannot
be swapped, dropped or cut off. The same content under the same name gives the same bytes: two workers that write one
file at once do not harm each other, and since the salt is the content's own, no nonce ever serves two contents.
"""

import io
from collections.abc import Iterator
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"LIKENESS SEAL 1\n"
SALT = 32
HEAD = len(MAGIC) + SALT
CHUNK = 64 << 10
TAG = 16
SEALED_CHUNK = CHUNK + TAG


class Altered(Exception):  # no error of ours: somebody or something changed the stored bytes
    """The stored bytes are not those that were sealed under this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the stored bytes at {name} are not those that were sealed there")


def seal(key: bytes, name: str, sha256: str, content: IO[bytes]) -> Iterator[bytes]:
    """The sealed form of `content`, whose SHA-256 (hex) the caller knows, piece by piece."""
    salt = bytes.fromhex(sha256)
    cipher = _cipher(key, name, salt)
    yield MAGIC + salt
    chunk, number = content.read(CHUNK), 0
    while True:
        following = content.read(CHUNK) if len(chunk) == CHUNK else b""
        yield cipher.encrypt(_nonce(number, last=not following), chunk, name.encode())
        if not following:
            return
        chunk, number = following, number + 1


def _cipher(key: bytes, name: str, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=MAGIC + name.encode()).derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class Unsealed(io.RawIOBase):
    """What was sealed, read chunk by chunk, from anywhere. Altered as soon as a chunk is read that was not."""

    def __init__(self, key: bytes, name: str, sealed: IO[bytes], sealed_size: int) -> None:
        self.name = name
        self._sealed = sealed
        head = sealed.read(HEAD)
        chunks, rest = divmod(sealed_size - HEAD, SEALED_CHUNK)
        if len(head) != HEAD or not head.startswith(MAGIC) or 0 < rest < TAG or sealed_size == HEAD:
            sealed.close()
            raise Altered(name)
        self._cipher = _cipher(key, name, head[len(MAGIC) :])
        self._last = chunks - 1 if rest == 0 else chunks
        self.size = sealed_size - HEAD - TAG * (self._last + 1)
        self._at = 0
        self._loaded: tuple[int, bytes] = (-1, b"")
        self._next = 0  # the chunk at which `sealed` stands

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        number, inside = divmod(self._at, CHUNK)
        if self._at >= self.size:
            if self.size == 0:
                self._chunk(0)
            return 0
        piece = self._chunk(number)[inside : inside + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """The rest of it in whole chunks: `io` would ask for eight times as many pieces."""
        pieces = [] if self.size else [self._chunk(0)]  # of nothing, its seal is looked at as well
        while self._at < self.size:
            number, inside = divmod(self._at, CHUNK)
            pieces.append(self._chunk(number)[inside:])
            self._at += len(pieces[-1])
        return b"".join(pieces)

    def _chunk(self, number: int) -> bytes:
        if self._loaded[0] != number:
            if self._next != number:
                self._sealed.seek(HEAD + number * SEALED_CHUNK)
            sealed = self._sealed.read(SEALED_CHUNK)
            self._next = number + 1
            try:
                content = self._cipher.decrypt(_nonce(number, last=number == self._last), sealed, self.name.encode())
            except (InvalidTag, ValueError):
                raise Altered(self.name) from None
            self._loaded = number, content
        return self._loaded[1]

    def close(self) -> None:
        self._sealed.close()
        super().close()


def unseal(key: bytes, name: str, sealed: bytes) -> bytes:
    """All that was sealed, at once."""
    with Unsealed(key, name, io.BytesIO(sealed), len(sealed)) as content:
        return content.readall()

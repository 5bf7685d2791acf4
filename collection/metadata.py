"""Cutting metadata out of image files without touching their pixels: JPEG segments, PNG chunks, WebP chunks.

What stays is what a decoder needs to show the same colours: JFIF, Adobe and ICC segments, critical and colour chunks.
Everything after the end of the first image goes too (a phone's second picture, an appended archive).
"""

import re
import struct
import zlib

JPEG_KEEP_APP = {0xE0, 0xEE}  # JFIF, Adobe (colour transform)
PNG_KEEP = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"}
WEBP_KEEP = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP"}
# In entropy-coded data 0xFF is followed by 0x00 or a restart marker; anything else is the next segment.
NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class Truncated(ValueError):
    """The file ends before the image does."""


def strip_jpeg(data: bytes) -> bytes:
    """The JPEG without EXIF, XMP, IPTC, maker notes, comments, embedded thumbnails. Truncated if it has no end."""
    kept = [b"\xff\xd8"]
    at = 2
    while True:
        marker, end = _jpeg_segment(data, at)
        if marker == 0xD9:
            kept.append(b"\xff\xd9")
            return b"".join(kept)
        if marker == 0xDA:  # start of scan: its header, then data up to the next marker
            following = NEXT_MARKER.search(data, end)
            if following is None:
                raise Truncated("no end of image")
            end = following.start()
        if _keep_jpeg(marker, data[at + 4 : at + 16]):
            kept.append(data[at:end])
        at = end


def _jpeg_segment(data: bytes, at: int) -> tuple[int, int]:
    """(marker, end) of the segment at `at`."""
    while data[at : at + 2] == b"\xff\xff":  # fill bytes
        at += 1
    if at + 2 > len(data) or data[at] != 0xFF:
        raise Truncated("a segment is missing")
    marker = data[at + 1]
    if marker == 0xD9:
        return marker, at + 2
    if at + 4 > len(data):
        raise Truncated("a segment is cut off")
    return marker, at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def _keep_jpeg(marker: int, head: bytes) -> bool:
    if marker == 0xFE:  # comment
        return False
    if 0xE0 <= marker <= 0xEF:
        return marker in JPEG_KEEP_APP or (marker == 0xE2 and head.startswith(b"ICC_PROFILE"))
    return True


def strip_png(data: bytes) -> bytes:
    """The PNG without text, EXIF, time and private chunks. Truncated if it has no IEND."""
    kept = [data[:8]]
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            break
        if kind in PNG_KEEP:
            kept.append(_named_icc(data[at + 8 : end - 4]) if kind == b"iCCP" else data[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    raise Truncated("no IEND chunk")


def _named_icc(body: bytes) -> bytes:
    """An iCCP chunk whose free-text profile name is "icc"."""
    body = b"icc" + body[body.find(b"\x00") :]
    return struct.pack(">I", len(body)) + b"iCCP" + body + struct.pack(">I", zlib.crc32(b"iCCP" + body))


def strip_webp(data: bytes) -> bytes:
    """The WebP without EXIF, XMP and unknown chunks. Truncated if a chunk is cut off."""
    kept = []
    at, end_of_file = 12, min(len(data), 8 + int(struct.unpack_from("<I", data, 4)[0]))
    if 8 + int(struct.unpack_from("<I", data, 4)[0]) > len(data):
        raise Truncated("the file is shorter than it says")
    while at + 8 <= end_of_file:
        kind = data[at : at + 4]
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length + length % 2
        if kind in WEBP_KEEP:
            chunk = bytearray(data[at:end])
            if kind == b"VP8X":
                chunk[8] &= ~0b1100  # it no longer holds EXIF or XMP
            kept.append(bytes(chunk))
        at = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body

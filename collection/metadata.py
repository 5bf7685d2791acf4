"""Cutting metadata out of image files without touching their pixels: JPEG segments, PNG chunks, WebP chunks.

What stays is what a decoder needs to show the same picture: JFIF and Adobe segments, critical chunks, transparency.
Of colour profiles none stays (see collection.profiles).
Everything after the end of the first image goes too (a phone's second picture, an appended archive).
"""

import re
import struct

# Frame headers, tables, scans, restart intervals; of the application segments only what _jpeg_application keeps.
JPEG_KEEP = {*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDD}
MOST_PARTS = 100_000  # segments or chunks of one file: with millions of empty ones it takes minutes to read
MOST_SCANS = 50  # of a JPEG: each goes over the whole picture; progressive ones have about ten
MOST_FILL = 1000  # bytes before a marker, which a decoder goes over one by one
PNG_KEEP = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB"}
WEBP_KEEP = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"}
# In entropy-coded data 0xFF is followed by 0x00 or a restart marker; anything else is the next segment.
NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


FILL = re.compile(rb"\xff*")  # bytes that may precede a marker


class Truncated(ValueError):
    """The file ends before the image does."""


class Endless(ValueError):
    """It has more parts than any camera makes; going through them is the attack."""


def strip_jpeg(data: bytes) -> bytes:
    """The JPEG without EXIF, XMP, IPTC, maker notes, comments, embedded thumbnails. Truncated if it has no end."""
    kept = [b"\xff\xd8"]
    at = 2
    scans = 0
    for _ in range(MOST_PARTS):
        marker, at, end = _jpeg_segment(data, at)
        if marker == 0xD9:
            kept.append(b"\xff\xd9")
            return b"".join(kept)
        if marker == 0xDA:  # start of scan: its header, then data up to the next marker
            scans += 1
            following = NEXT_MARKER.search(data, end)
            if following is None:
                raise Truncated("no end of image")
            end = following.start()
        if scans > MOST_SCANS:
            raise Endless(f"more than {MOST_SCANS} scans")
        kept.append(data[at:end] if marker in JPEG_KEEP else _jpeg_application(marker, data[at:end]))
        at = end
    raise Endless(f"more than {MOST_PARTS} segments")


def _jpeg_segment(data: bytes, at: int) -> tuple[int, int, int]:
    """(marker, start, end) of the segment at `at`, which fill bytes may precede."""
    fill = FILL.match(data, at)
    end_of_fill = fill.end() if fill else at
    if end_of_fill - at > MOST_FILL:
        raise Endless(f"more than {MOST_FILL} fill bytes")
    at = max(at, end_of_fill - 1)
    if at + 2 > len(data) or data[at] != 0xFF:
        raise Truncated("a segment is missing")
    marker = data[at + 1]
    if marker == 0xD9:
        return marker, at, at + 2
    if at + 4 > len(data):
        raise Truncated("a segment is cut off")
    return marker, at, at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def _jpeg_application(marker: int, segment: bytes) -> bytes:
    """What stays of a segment that is not the picture's own: JFIF without its thumbnail, Adobe's transform."""
    body = segment[4:]
    if marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        return b"\xff\xe0\x00\x10" + body[:12] + b"\0\0"
    if marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
        return b"\xff\xee\x00\x0e" + body[:12]
    return b""


def with_profile(stripped: bytes, profile: bytes | None) -> bytes:
    """A stripped JPEG with a colour profile, which has to fit into one segment; unchanged without one."""
    if profile is None:
        return stripped
    at = 20 if stripped[2:4] == b"\xff\xe0" else 2  # JFIF comes first
    body = b"ICC_PROFILE\0\1\1" + profile
    return stripped[:at] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body + stripped[at:]


def strip_png(data: bytes) -> bytes:
    """The PNG without text, EXIF, time and private chunks. Truncated if it has no IEND."""
    kept = [data[:8]]
    at = 8
    for _ in range(MOST_PARTS):
        if at + 12 > len(data):
            break
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            break
        if kind in PNG_KEEP:
            kept.append(data[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    else:
        raise Endless(f"more than {MOST_PARTS} chunks")
    raise Truncated("no IEND chunk")


def strip_webp(data: bytes) -> bytes:
    """The WebP without EXIF, XMP and unknown chunks. Truncated if a chunk is cut off."""
    kept: list[bytes] = []
    at, end_of_file = 12, min(len(data), 8 + int(struct.unpack_from("<I", data, 4)[0]))
    if 8 + int(struct.unpack_from("<I", data, 4)[0]) > len(data):
        raise Truncated("the file is shorter than it says")
    for _ in range(MOST_PARTS):
        if at + 8 > end_of_file:
            break
        kind = data[at : at + 4]
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length + length % 2
        if kind in WEBP_KEEP:
            chunk = bytearray(data[at:end])
            if kind == b"VP8X" and length:
                chunk[8] &= ~0b101100  # it no longer holds a profile, EXIF or XMP
            kept.append(bytes(chunk))
        at = end
    else:
        raise Endless(f"more than {MOST_PARTS} chunks")
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body

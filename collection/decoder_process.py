"""The process at the other end of `collection.decoder`: opens one file after the other, and can do nothing else.

Before it sees the first file it gives up whatever it can: more memory, more processor time, new files, sockets, and
root. Every format is tried out before, since no library can be loaded once no file can be opened.
"""

import ctypes
import importlib
import io
import json
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from PIL import Image, ImageCms

from collection import masking, profiles
from collection.boxes import Box
from collection.decoding import ORIENTATION, PILLOW_FORMATS, PREVIEW_SIDE, BadImage, Opened, decode

NOBODY = 65534
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
IN, OUT = 0, 1
LOOKS_EVERY = 0.5  # seconds
CODECS = ("ascii", "latin_1", "utf_8", "utf_16", "utf_16_be", "utf_16_le", "cp1252")  # of texts in metadata
MAGICS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\0\0\0\0WEBP",
    b"\0\0\0\x18ftypheic",
    b"\0\0\0\x18ftypavif",
    b"II*\0",
)


def main() -> None:
    """Arguments: the folder of our code, who started us, seconds, megabytes (see decoder.Limits)."""
    parent, seconds, megabytes = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    _try_out()
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    _give_up(megabytes)
    os.write(OUT, b"!")
    while head := os.read(IN, 4):
        asked = json.loads(_read(int.from_bytes(head, "big")))
        covers = [Box(*corners) for corners in asked["covers"]]
        data = _read(int.from_bytes(_read(8), "big"))
        _allow_seconds(seconds / 2)
        _write(*_answer(data, covers, asked["side"] or PREVIEW_SIDE))


def _answer(data: bytes, covers: list[Box], side: int) -> tuple[dict[str, object], list[bytes]]:
    try:
        opened = decode(data, side)
        if covers:
            opened = replace(decode(masking.cover(opened.clean, covers), side), taken_in=opened.taken_in)
    except BadImage as bad:
        return {"reason": bad.reason, "detail": str(bad)}, []
    except MemoryError:
        return {"reason": "too_demanding", "detail": "it needs more memory than a photograph may"}, []
    return _facts(opened), [opened.clean, opened.preview, opened.canonical.tobytes()]


def _facts(opened: Opened) -> dict[str, object]:
    return {
        "extension": opened.extension,
        "width": opened.width,
        "height": opened.height,
        "pixels_sha256": opened.pixels_sha256,
        "taken_in": opened.taken_in and opened.taken_in.isoformat(),
    }


def _read(size: int) -> bytes:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        got = os.readv(IN, [view])
        if not got:
            sys.exit()
        view = view[got:]
    return bytes(data)


def _write(facts: dict[str, object], blobs: list[bytes]) -> None:
    facts["sizes"] = [len(blob) for blob in blobs]
    head = json.dumps(facts).encode()
    for part in (len(head).to_bytes(4, "big") + head, *blobs):
        view = memoryview(part)
        while view:
            view = view[os.write(OUT, view) :]


# --- Giving up -----------------------------------------------------------------------------------


def _try_out() -> None:
    """Load all that decoding will ever need: every format, colour space, odd mode, and the way into an error."""
    Image.init()
    for name in CODECS:
        importlib.import_module(f"encodings.{name}")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    foreign = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for options in ({}, {"icc_profile": profiles.profile_of(profiles.P3), "exif": exif}, {"icc_profile": foreign}):
        for name in PILLOW_FORMATS.values():
            _try(Image.new("RGB", (64, 64)), name, **options)
    for mode in ("L", "CMYK"):
        _try(Image.new(mode, (64, 64)), "JPEG")
    for mode in ("RGBA", "P", "I;16"):
        _try(Image.new(mode, (64, 64)), "PNG")
    for compression in ("tiff_lzw", "tiff_deflate", "jpeg"):
        _try(Image.new("RGB", (64, 64)), "TIFF", compression=compression)
    for magic in MAGICS:
        with suppress(BadImage):
            decode(magic + bytes(40))


def _try(picture: Image.Image, name: str, **options: Any) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    with suppress(BadImage):
        decode(buffer.getvalue())


def _give_up(megabytes: int) -> None:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    limits = {
        resource.RLIMIT_AS: megabytes << 20,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,  # whatever is open, nothing is written to it
        resource.RLIMIT_NOFILE: 3,  # no file, socket or pipe beside the two to our parent
    }
    for which, most in limits.items():
        resource.setrlimit(which, (most, most))
    if os.geteuid() == 0:
        with suppress(OSError):  # a container may forbid even this
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # no other process looks into this one's memory


def _allow_seconds(seconds: float) -> None:
    """Of processor time, from now on; the kernel ends us after that."""
    used = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, resource.RLIM_INFINITY))


def _end_with(parent: int) -> None:
    """Whoever started us may be killed while we decode: we do not outlive them by more than a moment."""
    while os.getppid() == parent:
        time.sleep(LOOKS_EVERY)
    os._exit(0)

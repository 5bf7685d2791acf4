"""Colour profiles (ICC): which colours a picture means, without saying who or what made it.

A vendor's profile carries names, dates and a calibration that may be one device's own. So none is passed on: sRGB needs
none, Display P3 and Adobe RGB are replaced by ours, and pictures in any other space are converted to sRGB. No Django.
"""

import io
import struct
from collections.abc import Callable

from PIL import Image, ImageCms

Curve = Callable[[float], float]

SRGB, P3, ADOBE = "sRGB", "Display P3", "Adobe RGB"
# Where red, green and blue lie: XYZ under D50.
PRIMARIES = {
    SRGB: ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    P3: ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    ADOBE: ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
}
D50 = (0.9642, 1.0, 0.8249)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
CURVES = {SRGB: SRGB_CURVE, P3: SRGB_CURVE, ADOBE: (2.19921875,)}
PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}  # of each kind of parametric curve
NEAR_PRIMARY, NEAR_CURVE = 0.004, 0.012
LARGEST = 4 << 20  # bytes
MOST_TAGS = 100


def space_of(profile: bytes) -> str | None:
    """SRGB, P3, ADOBE, or None for whatever else a profile describes."""
    try:
        tags = _tags(profile)
        primaries = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
        return next((space for space in PRIMARIES if _is(space, primaries, curves)), None)
    except (KeyError, ValueError, IndexError, struct.error, OverflowError, ZeroDivisionError, TypeError):
        return None


def _is(space: str, primaries: list[tuple[float, ...]], curves: list[Curve]) -> bool:
    pairs = zip(sum(primaries, ()), sum(PRIMARIES[space], ()), strict=True)
    ours = _parametric(CURVES[space])
    return all(abs(a - b) < NEAR_PRIMARY for a, b in pairs) and all(
        abs(curve(x) - ours(x)) < NEAR_CURVE for curve in curves for x in (0.1, 0.25, 0.5, 0.75, 0.9)
    )


def to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """An RGB picture with its colours as sRGB says them; unchanged if the profile makes no sense."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    return converted or picture


# --- Reading -------------------------------------------------------------------------------------


def _tags(profile: bytes) -> dict[bytes, bytes]:
    if len(profile) > LARGEST or profile[16:20] != b"RGB " or profile[36:40] != b"acsp":
        raise ValueError("no profile of an RGB space")
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, MOST_TAGS))]
    if any(name == b"A2B0" for name, _, _ in entries):
        raise ValueError("its colours are a table")
    return {name: profile[at : at + size] for name, at, size in entries}


def _xyz(tag: bytes) -> tuple[float, ...]:
    return tuple(value / 65536 for value in struct.unpack_from(">3i", tag, 8))


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        values = struct.unpack_from(f">{PARAMETERS[kind]}i", tag, 12)
        return _parametric(tuple(value / 65536 for value in values))
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return lambda x: x
    points = struct.unpack_from(f">{count}H", tag, 12)
    if count == 1:
        return _parametric((points[0] / 256,))
    return lambda x: points[round(x * (count - 1))] / 65535


def _parametric(values: tuple[float, ...]) -> Curve:
    """ICC.1 10.18, but for what lies below the threshold of its kinds 1 and 2."""
    g, a, b, c, d, e, f = (*values, *(1.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0)[len(values) :])
    return lambda x: (a * x + b) ** g + e if x >= d else c * x + f


# --- Ours ----------------------------------------------------------------------------------------


def profile_of(space: str) -> bytes:
    """Our own profile of P3 or ADOBE: the same bytes for everybody."""
    red, green, blue = PRIMARIES[space]
    curve = CURVES[space]
    kind = {1: 0, 5: 3}[len(curve)]
    tone = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, curve))
    parts = {
        b"desc": _text(space),
        b"cprt": _text("CC0"),
        b"wtpt": _point(D50),
        b"rXYZ": _point(red),
        b"gXYZ": _point(green),
        b"bXYZ": _point(blue),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone),
    }
    table, body, at = struct.pack(">I", len(parts)), b"", 128 + 4 + 12 * len(parts)
    for name, part in parts.items():
        table += struct.pack(">4sII", name, at + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    return _header(at + len(body)) + table + body


def _header(size: int) -> bytes:
    """Of a display profile, version 4.2, from nobody, of the first of January 2000."""
    head = struct.pack(">I4xI4s4s4s", size, 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp"
    return head.ljust(68, b"\0") + b"".join(map(_fixed, D50)) + bytes(48)


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _point(xyz: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, xyz))


def _text(text: str) -> bytes:
    words = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", len(words), 28) + words

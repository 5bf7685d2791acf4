"""Portraits made in code: people who do not exist, so that the demo and its tests own every pixel they use.

`draw(person, shot, size)` always gives the same picture: the person decides skin, hair and features, the shot decides
pose, place and light. Two shots of one person are as far apart for a perceptual hash as two photographs would be.
"""

import functools
import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

BASE = 1024  # the longer side at which shapes are drawn; noise and light are added at full size
SKIN = [(255, 224, 196), (241, 194, 151), (224, 172, 115), (198, 134, 82), (141, 85, 46), (94, 58, 38), (66, 42, 32)]
HAIR = [(24, 20, 18), (58, 38, 24), (104, 66, 36), (168, 120, 62), (214, 178, 112), (150, 62, 30), (168, 166, 164)]
CLOTH = [(38, 56, 92), (142, 36, 44), (230, 224, 210), (44, 92, 70), (92, 70, 128), (30, 30, 34), (214, 160, 52)]

Colour = tuple[int, int, int]


def draw(person: int, shot: int, size: tuple[int, int]) -> Image.Image:
    """An RGB portrait of `size` (width, height) pixels."""
    rng = np.random.default_rng([person, shot, 7])
    scale = BASE / max(size)
    small = (max(64, round(size[0] * scale)), max(64, round(size[1] * scale)))
    picture = _place(rng, small)
    figure = _figure(np.random.default_rng([person, 3]), rng, small)
    picture.paste(figure, (0, 0), figure)
    picture = _light(rng, picture.filter(ImageFilter.GaussianBlur(0.8)))
    return _grain(rng, picture.resize(size, Image.Resampling.BICUBIC))


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (max(0, min(255, round(channel * factor))) for channel in colour)
    return red, green, blue


def _any_colour(rng: np.random.Generator, low: int = 20, high: int = 235) -> Colour:
    red, green, blue = (int(channel) for channel in rng.integers(low, high, 3))
    return red, green, blue


# --- Where the person stands --------------------------------------------------------------------


def _place(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A background: coarse blotches of light and dark (what tells places apart from afar), then things in it."""
    coarse = rng.integers(15, 240, (int(rng.integers(2, 5)), int(rng.integers(2, 5)), 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    [_shelf, _lamps, _hills, _windows][int(rng.integers(4))](rng, pen, size)
    return picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(2, 9))))


def _shelf(rng: np.random.Generator, pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    left = 0
    while left < size[0]:
        width = int(rng.integers(size[0] // 24, size[0] // 5))
        top = int(rng.integers(0, size[1] * 2 // 3))
        pen.rectangle((left, top, left + width, top + int(rng.integers(size[1] // 5, size[1]))), fill=_any_colour(rng))
        left += width + int(rng.integers(4, size[0] // 6))


def _lamps(rng: np.random.Generator, pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    for _ in range(int(rng.integers(8, 22))):
        x, y = int(rng.integers(size[0])), int(rng.integers(size[1]))
        radius = int(rng.integers(size[0] // 30, size[0] // 6))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_any_colour(rng, 40, 255))


def _hills(rng: np.random.Generator, pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    for level in np.sort(rng.uniform(0.1, 0.9, 3)):
        phase, waves, height = rng.uniform(0, 6), rng.uniform(0.6, 2.5), rng.uniform(0.05, 0.25)
        line = [
            (x, size[1] * (level + height * math.sin(phase + waves * math.tau * x / size[0])))
            for x in range(0, size[0] + 16, 16)
        ]
        pen.polygon([*line, (size[0], size[1]), (0, size[1])], fill=_any_colour(rng))


def _windows(rng: np.random.Generator, pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    for column in range(columns):
        for row in range(rows):
            x, y = size[0] * column / columns, size[1] * row / rows
            pen.rectangle((x + 14, y + 14, x + size[0] / columns, y + size[1] / rows), fill=_any_colour(rng, 10, 255))


# --- The person ---------------------------------------------------------------------------------


def _figure(who: np.random.Generator, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """The person on a transparent sheet, turned, moved and scaled as the shot says."""
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    unit = min(size) * float(rng.uniform(0.15, 0.27))  # half the height of the head
    centre = (size[0] * float(rng.uniform(0.28, 0.72)), size[1] * float(rng.uniform(0.3, 0.55)))
    _head_and_shoulders(who, rng, pen, centre, unit)
    return layer.rotate(float(rng.uniform(-16, 16)), Image.Resampling.BILINEAR, center=centre)


def _head_and_shoulders(
    who: np.random.Generator,
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    unit: float,
) -> None:
    skin = _shade(SKIN[int(who.integers(len(SKIN)))], float(who.uniform(0.9, 1.08)))
    hair = _shade(HAIR[int(who.integers(len(HAIR)))], float(who.uniform(0.8, 1.2)))
    cloth = CLOTH[int(rng.integers(len(CLOTH)))]
    breadth, long_hair, beard, glasses = who.uniform(0.68, 0.86), who.random() < 0.45, who.random(), who.random() < 0.3
    look = float(rng.uniform(-0.22, 0.22))  # turned a little to one side

    def oval(dx: float, dy: float, rx: float, ry: float, colour: Colour) -> None:
        x, y = centre[0] + dx * unit, centre[1] + dy * unit
        pen.ellipse((x - rx * unit, y - ry * unit, x + rx * unit, y + ry * unit), fill=(*colour, 255))

    if long_hair:
        oval(0, 0.35, breadth + 0.35, 1.5, hair)
    oval(0, 2.9, 2.1, 1.6, cloth)
    oval(0, 1.25, 0.36, 0.6, _shade(skin, 0.82))
    oval(0, -0.15, breadth + 0.12, 1.08, hair)
    oval(-breadth, 0.05, 0.13, 0.22, _shade(skin, 0.9))
    oval(breadth, 0.05, 0.13, 0.22, _shade(skin, 0.9))
    oval(0, 0.1, breadth, 0.98, skin)
    oval(look, -0.78, breadth * 0.95, float(who.uniform(0.2, 0.42)), hair)
    if beard < 0.25:
        oval(look / 2, 0.72, breadth * 0.62, 0.36, _shade(hair, 1.1))
    _face(who, oval, look, skin, hair, glasses)


def _face(who: np.random.Generator, oval, look: float, skin: Colour, hair: Colour, glasses: bool) -> None:  # type: ignore[no-untyped-def]
    apart, eye = who.uniform(0.3, 0.4), who.uniform(0.09, 0.13)
    iris = _any_colour(who, 30, 130)
    for side in (-1, 1):
        x = side * apart + look
        if glasses:
            oval(x, -0.02, 0.24, 0.2, (26, 24, 26))
            oval(x, -0.02, 0.21, 0.17, _shade(skin, 1.05))
        oval(x, -0.02, eye * 1.5, eye * 0.85, (244, 242, 238))
        oval(x + look * 0.15, -0.02, eye * 0.75, eye * 0.78, iris)
        oval(x + look * 0.15, -0.02, eye * 0.35, eye * 0.38, (12, 10, 10))
        oval(x, -0.22, eye * 1.8, 0.045, _shade(hair, 0.8))
        oval(side * 0.42 + look, 0.34, 0.17, 0.12, _shade(skin, 1.06))
    oval(look * 1.3, 0.26, 0.1, 0.17, _shade(skin, 0.88))
    lips = who.uniform(0.18, 0.3)
    oval(look, 0.6, lips, 0.075, _shade((188, 84, 82), 0.55 + skin[0] / 600))
    oval(look, 0.6, lips * 0.8, 0.015, (70, 24, 28))


# --- The camera ---------------------------------------------------------------------------------


def _light(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Light from one side, a vignette and a colour cast."""
    width, height = picture.size
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    angle, strength = rng.uniform(0, math.tau), rng.uniform(0.15, 0.5)
    light = 1 + strength * (math.cos(angle) * x + math.sin(angle) * y) - 0.18 * (x * x + y * y)
    cast = rng.uniform(0.92, 1.08, 3).astype(np.float32)
    lit = np.asarray(picture, dtype=np.float32) * light[..., None] * cast
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


@functools.cache
def _noise(seed: int) -> Image.Image:
    """A tile of sensor noise around mid grey: brightness noise and a little in each colour."""
    rng = np.random.default_rng(seed)
    tile = rng.normal(128, 5, (512, 512, 1)) + rng.normal(0, 2.5, (512, 512, 3))
    return Image.fromarray(np.clip(tile, 0, 255).astype(np.uint8))


def _grain(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    tile, sheet = _noise(int(rng.integers(4))), Image.new("RGB", picture.size)
    dx, dy = (int(offset) for offset in rng.integers(0, 512, 2))
    for x in range(-dx, picture.width, 512):
        for y in range(-dy, picture.height, 512):
            sheet.paste(tile, (x, y))
    return ImageChops.add(picture, sheet, 1, -128)

"""Drawn frontal portraits in the ten tones of the Monk Skin Tone scale, under light that a test chooses."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# Published by Ellis Monk and Google for anybody's use (skintone.google): lightest to darkest.
TONES = {
    1: (0xF6, 0xED, 0xE4),
    2: (0xF3, 0xE7, 0xDB),
    3: (0xF7, 0xEA, 0xD0),
    4: (0xEA, 0xDA, 0xBA),
    5: (0xD7, 0xBD, 0x96),
    6: (0xA0, 0x7E, 0x56),
    7: (0x82, 0x5C, 0x43),
    8: (0x60, 0x41, 0x34),
    9: (0x3A, 0x31, 0x2A),
    10: (0x29, 0x24, 0x20),
}
WHITE_WALL, GREY_WALL, DARK_WALL = (238, 238, 236), (140, 142, 146), (38, 36, 40)
SIZE = (800, 1000)


def portrait(tone: int, wall=GREY_WALL, size=SIZE, people: int = 1) -> Image.Image:
    """One or more frontal faces of a tone before a wall, lit from the front left as by a window."""
    picture = Image.new("RGB", size, wall)
    pen = ImageDraw.Draw(picture)
    width = size[0] / people
    for number in range(people):
        _person(pen, TONES[tone], (width * (number + 0.5), size[1] * 0.45), min(width * 0.34, size[1] * 0.26))
    soft = picture.filter(ImageFilter.GaussianBlur(min(size) / 400))
    return Image.fromarray(_grain(_window_light(np.asarray(soft, dtype=np.float32)))).copy()


def backlit(tone: int, size=SIZE) -> Image.Image:
    """The same person as a silhouette before a bright window: the face gets a hundredth of the light."""
    dark = np.asarray(portrait(tone, (0, 0, 0), size), dtype=np.float32)
    wall = np.all(np.asarray(portrait(tone, (0, 0, 0), size)) < 8, axis=2)
    inside = _outline(size)
    lit = np.where(inside[..., None], 16 + dark * 0.03, 246)
    assert wall.any()
    return Image.fromarray(_grain(lit))


def _outline(size) -> np.ndarray:
    mask = Image.new("RGB", size, "black")
    _person(ImageDraw.Draw(mask), (255, 255, 255), (size[0] * 0.5, size[1] * 0.45), min(size[0] * 0.34, size[1] * 0.26))
    return np.asarray(mask.convert("L")) > 0


def _window_light(pixels: np.ndarray) -> np.ndarray:
    across = np.linspace(1.06, 0.82, pixels.shape[1], dtype=np.float32)[None, :, None]
    return pixels * across


def _grain(pixels: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(5).normal(0, 2.0, pixels.shape[:2])[..., None]
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def _person(pen: ImageDraw.ImageDraw, tone, centre, unit: float) -> None:
    """`unit` is half the height of the face."""

    def oval(dx, dy, rx, ry, colour) -> None:
        x, y = centre[0] + dx * unit, centre[1] + dy * unit
        pen.ellipse((x - rx * unit, y - ry * unit, x + rx * unit, y + ry * unit), fill=colour)

    def shade(factor: float):
        return tuple(max(2, min(252, round(channel * factor))) for channel in tone)

    hair = (26, 21, 18)
    oval(0, 2.5, 1.55, 1.25, (86, 96, 128))
    oval(0, 1.15, 0.34, 0.55, shade(0.72))
    oval(0, -0.18, 0.86, 1.05, hair)
    oval(0, 0.06, 0.74, 0.97, shade(0.92))
    oval(0, -0.5, 0.52, 0.22, shade(1.06))  # the forehead shines
    for side in (-1, 1):
        oval(side * 0.33, -0.1, 0.23, 0.15, shade(0.6))  # eyes lie in shade
        oval(side * 0.33, -0.27, 0.22, 0.055, shade(0.3))
        oval(side * 0.33, -0.08, 0.15, 0.075, shade(0.9) if max(tone) > 120 else (150, 146, 140))
        oval(side * 0.33, -0.08, 0.075, 0.075, (14, 11, 10))
        oval(side * 0.4, 0.27, 0.19, 0.15, shade(1.07))  # cheeks
    oval(0, 0.05, 0.075, 0.3, shade(1.1))
    oval(0, 0.33, 0.13, 0.06, shade(0.62))
    oval(0, 0.56, 0.27, 0.09, shade(0.55))
    oval(0, 0.8, 0.22, 0.1, shade(1.02))

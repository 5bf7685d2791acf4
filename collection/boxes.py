"""Rectangles in a picture, such as faces. Pure; no Django, and no library: the decoder process knows them too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in parts of the picture's width and height: all between 0 and 1."""

    x: float
    y: float
    w: float
    h: float

    def covers(self, other: "Box") -> float:
        """The shared part of the smaller one: 0 (apart) to 1 (one inside the other)."""
        across = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        down = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        smaller = min(self.w * self.h, other.w * other.h)
        return max(0.0, across) * max(0.0, down) / smaller if smaller > 0 else 0.0

"""What the tests of the simulator's wires share: a clock that they turn, a picture to send, and one that came."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

NOON = 1_795_000_000.0


@dataclass
class Clock:
    """Seconds that pass only when a test says so."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def red_png(size: tuple[int, int] = (300, 200)) -> bytes:
    """Give a picture of so many pixels."""
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "PNG")
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    """Give a picture that came, read to its last pixel."""
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture

"""The sandbox's generation: a landscape from a prompt's colour words and a seed.

What this is: hills under a sky, the same for the same prompt and seed; a stand-in picture that is pleasant to
look at. What it is not: an illustration of the prompt: apart from colours, night and water it reads nothing
out of it. Importing it loads Pillow. Above: painting. Below: nothing.
"""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
import re
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

SIZES_PX = {
    "1:1": (1024, 1024),
    "16:9": (1392, 752),
    "9:16": (752, 1392),
    "4:3": (1184, 880),
    "3:4": (880, 1184),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "4:5": (944, 1104),
    "5:4": (1104, 944),
    "21:9": (1568, 672),
    "9:21": (672, 1568),
    "2:1": (1456, 720),
    "1:2": (720, 1456),
}
"""The model's own sizes for each ratio: a megapixel, sides multiples of 16 (WIRE.md, section H)."""

_HUES = {
    "red": 0.0,
    "orange": 0.07,
    "brown": 0.07,
    "gold": 0.12,
    "yellow": 0.14,
    "lime": 0.24,
    "green": 0.33,
    "teal": 0.48,
    "turquoise": 0.48,
    "cyan": 0.5,
    "blue": 0.6,
    "indigo": 0.7,
    "violet": 0.75,
    "purple": 0.78,
    "magenta": 0.85,
    "pink": 0.92,
}
_WORD = re.compile(r"[a-z]+")
_NIGHT = frozenset({"night", "midnight", "moon", "moonlight", "stars", "starry"})
_WATER = frozenset({"sea", "ocean", "lake", "water", "beach", "coast", "river", "harbour", "harbor"})
_SCALE = 2
"""Drawn twice as large and scaled down: smooth ridges without an antialiasing polygon."""

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mood:
    """What the words and the seed decide: hue of the sky and of the hills, 0 to 1, night, water."""

    sky_hue: float
    hill_hue: float
    night: bool
    water: bool


def landscape(prompt: str, ratio: str, random: Random) -> Image.Image:
    """Paint a landscape of about a megapixel.

    Args:
        prompt: its colour words choose the colours.
        ratio: a key of `SIZES_PX`.
        random: seeded by the caller; the same state gives the same picture.
    """
    width, height = SIZES_PX[ratio]
    size = width * _SCALE, height * _SCALE
    mood = _mood(prompt, random)
    picture = _sky(size, mood)
    horizon = round(size[1] * random.uniform(0.5, 0.62))
    _light(picture, mood, horizon, random)
    layers = 5
    for n in range(layers):
        if mood.water and n == 3:
            _water(picture, mood, horizon + round(size[1] * 0.1))
        _hill(picture, mood, n / (layers - 1), horizon, random)
    return _finished(picture.reduce(_SCALE), random)


def _mood(prompt: str, random: Random) -> _Mood:
    words = _WORD.findall(prompt.lower())
    hues = [_HUES[word] for word in words if word in _HUES]
    night = not _NIGHT.isdisjoint(words)
    drawn = 0.6 + 0.1 * random.random() if night else (0.5 + 0.5 * random.random()) % 1
    sky_hue = hues[0] if hues else drawn
    hill_hue = hues[1] if len(hues) > 1 else (sky_hue + random.choice((-0.12, 0.08, 0.14))) % 1
    return _Mood(
        sky_hue=sky_hue,
        hill_hue=hill_hue,
        night=night,
        water=not _WATER.isdisjoint(words),
    )


def _colour(hue: float, saturation: float, value: float) -> Rgb:
    red, green, blue = hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _horizon_colour(mood: _Mood) -> Rgb:
    if mood.night:
        return _colour(mood.sky_hue, 0.5, 0.36)
    return _mixed(_colour(mood.sky_hue, 0.22, 0.99), (255, 226, 190), 0.55)


def _sky(size: tuple[int, int], mood: _Mood) -> Image.Image:
    top = _colour(mood.sky_hue, 0.75, 0.13) if mood.night else _colour(mood.sky_hue, 0.54, 0.8)
    middle = _mixed(top, _horizon_colour(mood), 0.5)
    # The horizon stands at about 0.6 of the height: the gradient ends there.
    column = _falling(size[1], [min(255, round(v * 1.6)) for v in range(256)])
    return ImageOps.colorize(column, top, _horizon_colour(mood), middle).resize(size, Image.Resampling.NEAREST)


def _falling(height: int, lightness: list[int]) -> Image.Image:
    """Give one column of a gradient, through a table of lightness: all its columns are alike, so one is coloured."""
    return Image.linear_gradient("L").resize((1, height), Image.Resampling.BICUBIC).point(lightness)


def _light(picture: Image.Image, mood: _Mood, horizon: int, random: Random) -> None:
    """Hang a sun or a moon with its glow, and at night stars."""
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    if mood.night:
        for _ in range(140):
            x, y = random.randrange(width), int(random.random() ** 1.5 * horizon)
            radius = random.choice((1, 1, 2, 2, 3))
            draw.ellipse(
                (x - radius, y - radius, x + radius, y + radius),
                _mixed(_horizon_colour(mood), (255, 255, 255), 0.8),
            )
    radius = round(min(width, height) * random.uniform(0.045, 0.07))
    x = round(width * random.choice((random.uniform(0.2, 0.38), random.uniform(0.62, 0.8))))
    y = round(horizon * random.uniform(0.42, 0.72))
    tint = (244, 240, 224) if mood.night else (255, 246, 216)
    reach = radius * (6 if mood.night else 9)
    halo = ImageOps.invert(Image.radial_gradient("L")).resize((2 * reach, 2 * reach), Image.Resampling.BICUBIC)
    strength = 0.35 if mood.night else 0.6
    halo = halo.point([round(strength * max(0, v - 75) ** 2 / 180**2 * 255) for v in range(256)])
    picture.paste(tint, (x - reach, y - reach), halo)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), tint)


def _ridge(width: int, roughness: float, random: Random) -> list[float]:
    """Give heights from -1 to 1 across the picture: a few waves, finer ones smaller."""
    waves = [(1.2 * 2.1**n, 0.52**n * (1 + roughness * n * 0.25), random.uniform(0, math.tau)) for n in range(6)]
    total = sum(share for _, share, _ in waves)
    return [
        sum(share * math.sin(math.tau * turns * x / width + phase) for turns, share, phase in waves) / total
        for x in range(0, width + 8, 8)
    ]


def _hill(picture: Image.Image, mood: _Mood, nearness: float, horizon: int, random: Random) -> None:
    """Paint one range of hills, the further the hazier, with mist at its foot."""
    width, height = picture.size
    haze = _horizon_colour(mood)
    near = _colour(mood.hill_hue, 0.7, 0.1 if mood.night else 0.26)
    tint = _mixed(_mixed(haze, _colour(mood.hill_hue, 0.55, 0.24 if mood.night else 0.62), 0.35), near, nearness**0.85)
    base = horizon + (height - horizon) * (0.02 + 0.72 * nearness)
    swing = height * (0.13 - 0.05 * nearness)
    tops = [base - swing * top for top in _ridge(width, 1 - nearness, random)]
    outline = [(x * 8, top) for x, top in enumerate(tops)]
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).polygon([(0, height), *outline, (width, height)], fill=255)
    highest = max(0, round(min(tops)))
    depth = 0.75 * (1 - nearness)
    fog = _falling(max(1, height - highest), [min(255, round(v * 2.6 * depth)) for v in range(256)])
    ground = ImageOps.colorize(fog, tint, haze).resize((width, fog.height), Image.Resampling.NEAREST)
    picture.paste(ground, (0, highest), mask.crop((0, highest, width, height)))


def _water(picture: Image.Image, mood: _Mood, shore: int) -> None:
    """Lay water over the lower part: the sky upside down, darker, rippled."""
    width, height = picture.size
    depth = height - shore
    mirrored = picture.crop((0, max(0, shore - depth), width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    mirrored = mirrored.resize((width, depth)).filter(ImageFilter.GaussianBlur(6))
    rippled = Image.new("RGB", mirrored.size)
    for y in range(0, depth, 4):
        near = y / depth
        shift = round((2 + 26 * near) * math.sin(y / (3 + 26 * near)))
        rippled.paste(ImageChops.offset(mirrored.crop((0, y, width, min(depth, y + 4))), shift, 0), (0, y))
    tint = Image.new("RGB", mirrored.size, _colour(mood.sky_hue, 0.5, 0.4 if mood.night else 0.72))
    picture.paste(Image.blend(rippled, tint, 0.35), (0, shore))


def _finished(picture: Image.Image, random: Random) -> Image.Image:
    """Add the finest grain, so that the sky shows no bands."""
    noise = Image.frombytes("L", picture.size, random.randbytes(picture.width * picture.height))
    grain = noise.filter(ImageFilter.GaussianBlur(0.6)).point([126 + v * 4 // 255 for v in range(256)])
    return ImageChops.add(picture, grain.convert("RGB"), scale=1, offset=-128)

"""The sandbox's brushes: each takes an RGB picture and gives an RGB picture of the same size.

What this is: the pixel work of edits, in Pillow alone, the same for the same picture and random source. A
megapixel takes a fraction of a second. What it is not: the choice of a brush by a prompt (`painting`).
Importing it loads Pillow. Above: painting. Below: nothing.
"""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from random import Random

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

PAPER = (250, 247, 240)
_REFERENCE_PX = 768
"""Longest side that the radii below are meant for; others scale."""


def grey(image: Image.Image, _random: Random) -> Image.Image:
    """Black and white, with the contrast that colour gave before."""
    return ImageOps.autocontrast(image.convert("L"), cutoff=0.5).convert("RGB")


def sepia(image: Image.Image, _random: Random) -> Image.Image:
    """An old print: brown tones, softer contrast, darker corners."""
    tones = ImageEnhance.Contrast(image.convert("L")).enhance(0.92)
    print_ = ImageOps.colorize(tones, (38, 24, 14), (252, 240, 214), (166, 124, 84))
    return _vignetted(print_, 0.35)


def warm(image: Image.Image, _random: Random) -> Image.Image:
    """Warmer light: more red in the middle tones, less blue."""
    return _graded(image, (1.14, 1.03, 0.82), (6, 1, -4))


def cool(image: Image.Image, _random: Random) -> Image.Image:
    """Cooler light: more blue, less red."""
    return _graded(image, (0.84, 0.98, 1.13), (-3, 1, 8))


def golden(image: Image.Image, _random: Random) -> Image.Image:
    """Evening light: warm, and warmer towards the top."""
    glow = Image.linear_gradient("L").resize(image.size).point([int((255 - v) * 0.45) for v in range(256)])
    lit = _graded(image, (1.16, 1.0, 0.76), (8, 0, -6))
    sky = ImageChops.screen(lit, Image.new("RGB", image.size, (190, 92, 20)))
    return Image.composite(sky, lit, glow)


def night(image: Image.Image, _random: Random) -> Image.Image:
    """Moonlight: dark, blue, with little colour."""
    muted = ImageEnhance.Color(image).enhance(0.45)
    return _vignetted(_graded(_gamma(muted, 1.5), (0.52, 0.66, 1.0), (0, 4, 18)), 0.3)


def bright(image: Image.Image, _random: Random) -> Image.Image:
    """Brighter, without burning out what is bright already."""
    return _gamma(image, 0.68)


def dark(image: Image.Image, _random: Random) -> Image.Image:
    """Darker, with the highlights kept."""
    return _gamma(image, 1.55)


def mirror(image: Image.Image, _random: Random) -> Image.Image:
    """Left and right exchanged."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def upside_down(image: Image.Image, _random: Random) -> Image.Image:
    """Top and bottom exchanged."""
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def grade(image: Image.Image, random: Random) -> Image.Image:
    """A gentle look drawn from the seed, for prompts that name nothing that can be done here."""
    tints = ((1.1, 1.0, 0.9), (0.9, 1.0, 1.1), (1.06, 0.95, 1.06), (0.95, 1.06, 0.98))
    gains = random.choice(tints)
    image = ImageEnhance.Color(image).enhance(random.choice((0.8, 1.25)))
    return _vignetted(_graded(ImageEnhance.Contrast(image).enhance(1.08), gains, (5, 3, 5)), 0.25)


def cartoon(image: Image.Image, _random: Random) -> Image.Image:
    """Flat, strong colours between dark lines."""
    unit = _unit(image)
    flat = _smoothed(_smoothed(image, 2 * unit), 1.5 * unit)
    hue, saturation, value = flat.convert("HSV").split()
    strong = saturation.point([min(255, int(v * 1.3)) for v in range(256)])
    stepped = ImageOps.autocontrast(value, cutoff=0.5).point([_soft_step(v, 6) for v in range(256)])
    colours = Image.merge("HSV", (hue, strong, stepped)).convert("RGB")
    ink = _lines(_smoothed(image, unit), unit, 25)
    return ImageChops.multiply(colours, ink.convert("RGB"))


def watercolour(image: Image.Image, random: Random) -> Image.Image:
    """Washes of colour with darker rims on grained paper, ragged towards the edges."""
    unit = _unit(image)
    wash = _smoothed(_smoothed(image, 2.5 * unit), 2 * unit)
    wash = ImageEnhance.Color(_gamma(wash, 0.85)).enhance(1.3)
    wash = wash.point([int(22 + v * (255 - 22) / 255) for v in range(256)] * 3)
    # Pigment gathers where a wash ends, and pools unevenly within it.
    rims = wash.convert("L").filter(ImageFilter.FIND_EDGES).filter(ImageFilter.GaussianBlur(0.8 * unit))
    wash = ImageChops.multiply(wash, rims.point([max(110, 255 - 3 * v) for v in range(256)]).convert("RGB"))
    pencil = _lines(_smoothed(image, unit), unit, 150)
    wash = ImageChops.multiply(wash, pencil.convert("RGB"))
    pools = _clouds(image.size, random, 9).point([222 + v * 33 // 255 for v in range(256)])
    wash = ImageChops.screen(wash, ImageChops.invert(pools).convert("RGB"))
    grain = _grain(image.size, random, unit)
    wash = ImageChops.multiply(wash, grain.convert("RGB"))
    paper = ImageChops.multiply(Image.new("RGB", image.size, PAPER), grain.convert("RGB"))
    return Image.composite(wash, paper, _ragged(image.size, random))


Brush = Callable[[Image.Image, Random], Image.Image]


def _unit(image: Image.Image) -> float:
    return max(0.35, max(image.size) / _REFERENCE_PX)


def _gamma(image: Image.Image, gamma: float) -> Image.Image:
    return image.point([round(255 * (v / 255) ** gamma) for v in range(256)] * 3)


def _graded(image: Image.Image, gains: tuple[float, float, float], lifts: tuple[float, float, float]) -> Image.Image:
    """Multiply each channel, softly in the highlights, and lift it."""
    table: list[int] = []
    for gain, lift in zip(gains, lifts, strict=True):
        # A power keeps black and white where they are; the gain holds in the middle.
        power = 1 / gain if gain > 1 else 2 - gain
        table += [max(0, min(255, round(255 * (v / 255) ** power + lift * (1 - v / 255)))) for v in range(256)]
    return image.point(table)


def _vignetted(image: Image.Image, strength: float) -> Image.Image:
    shade = Image.radial_gradient("L").resize(image.size, Image.Resampling.BICUBIC)
    shade = shade.point([255 - int(strength * max(0, v - 110) * 255 / 145) for v in range(256)])
    return ImageChops.multiply(image, shade.convert("RGB"))


def _soft_step(value: int, steps: int) -> int:
    """Pull a value towards the nearest of a few levels, with a short ramp between them."""
    position = value * steps / 255
    level, rest = int(position), position - int(position)
    ramp = max(0.0, min(1.0, (rest - 0.5) * 5 + 0.5))
    return min(255, int(28 + (level + ramp) * 227 / steps))


def _smoothed(image: Image.Image, radius: float) -> Image.Image:
    """Smooth within edges (Kuwahara): each pixel takes the calmest of the four squares that touch it."""
    reach = max(1, round(radius))
    wide = image.resize((image.width + 4 * reach, image.height + 4 * reach))
    wide.paste(image, (2 * reach, 2 * reach))
    blur = ImageFilter.BoxBlur(reach)
    mean, tones = wide.filter(blur), wide.convert("L")
    unrest = ImageChops.difference(tones, tones.filter(blur)).filter(blur)
    best, calmest = mean, Image.new("L", wide.size, 255)
    for across in (-reach, reach):
        for down in (-reach, reach):
            there = ImageChops.offset(unrest, across, down)
            calmer = ImageChops.subtract(calmest, there).point([0] + [255] * 255)
            soft = calmer.filter(ImageFilter.BoxBlur(1))
            best = Image.composite(ImageChops.offset(mean, across, down), best, soft)
            calmest = ImageChops.darker(calmest, there)
    return best.crop((2 * reach, 2 * reach, 2 * reach + image.width, 2 * reach + image.height))


def _lines(image: Image.Image, unit: float, darkest: int) -> Image.Image:
    """Draw lines on white where tones meet (the difference of two blurs), no darker than a tone of 0 to 255."""
    tones = image.convert("L")
    near, far = (tones.filter(ImageFilter.GaussianBlur(size * unit)) for size in (0.9, 2.2))
    relief = ImageChops.subtract(near, far, scale=1, offset=128)
    lines = relief.point([max(0, min(255, 255 + (v - 124) * 24)) if v < 124 else 255 for v in range(256)])
    return lines.filter(ImageFilter.GaussianBlur(0.5 * unit)).point([max(darkest, v) for v in range(256)])


def _noise(size: tuple[int, int], random: Random) -> Image.Image:
    return Image.frombytes("L", size, random.randbytes(size[0] * size[1]))


def _clouds(size: tuple[int, int], random: Random, cells: int) -> Image.Image:
    """Give soft noise: `cells` blobs along the longest side, over the whole range of tones."""
    scale = cells / max(size)
    small = _noise((max(2, round(size[0] * scale)), max(2, round(size[1] * scale))), random)
    return ImageOps.autocontrast(small.resize(size, Image.Resampling.BICUBIC))


def _grain(size: tuple[int, int], random: Random, unit: float) -> Image.Image:
    """Give cold-pressed paper, lit from the side: near white."""
    bumps = _noise(size, random).filter(ImageFilter.GaussianBlur(1.1 * unit))
    lit = ImageOps.autocontrast(bumps.filter(ImageFilter.EMBOSS), cutoff=1)
    return lit.point([222 + v * 33 // 255 for v in range(256)])


def _ragged(size: tuple[int, int], random: Random) -> Image.Image:
    """Give the mask of a painted field whose rim is ragged: 255 inside, 0 at the edges."""
    margin = max(1, round(0.045 * min(size)))
    field = Image.new("L", size, 0)
    field.paste(255, (margin, margin, max(margin + 1, size[0] - margin), max(margin + 1, size[1] - margin)))
    field = field.filter(ImageFilter.GaussianBlur(margin * 0.7))
    noise = Image.blend(_clouds(size, random, 26), _clouds(size, random, 110), 0.4)
    mixed = Image.blend(field, noise, 0.3)
    return mixed.point([max(0, min(255, (v - 95) * 9)) for v in range(256)])

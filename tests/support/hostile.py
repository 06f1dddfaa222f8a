"""Pictures that mean harm: markers in every corner, tails, bombs, endless animations, mutations."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import struct
import zlib
from random import Random

from PIL import Image, PngImagePlugin

from support.pictures import chunk, encoded

MARKER = b"PLANTED-MARKER-7f3a"
FORMS = ("JPEG", "PNG", "WEBP", "GIF")
_NAME = MARKER.decode()


def plain(form: str = "PNG", width: int = 60, height: int = 40, colour: str = "teal") -> bytes:
    """Give an honest picture."""
    return encoded(Image.new("RGB", (width, height), colour), form)


def marked(form: str, orientation: int = 6, width: int = 60, height: int = 40) -> bytes:
    """Give a picture on its side with the marker in EXIF, GPS, maker note, XMP, text and comment, as its form has."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = _NAME
    exif.get_ifd(0x8825)[29] = _NAME
    exif.get_ifd(0x8769)[0x927C] = MARKER
    options: dict[str, object] = {"exif": exif}
    if form == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Comment", _NAME)
        texts.add_itxt("XML:com.adobe.xmp", _NAME)
        options["pnginfo"] = texts
    else:
        options["xmp"] = MARKER
    if form == "JPEG":
        options["comment"] = MARKER
    return encoded(Image.new("RGB", (width, height), "teal"), form, **options)


def bomb(side: int = 13_000) -> bytes:
    """Give a PNG of so many pixels square in less than half a megabyte."""
    header = struct.pack(">II", side, side) + bytes([1, 0, 0, 0, 0])
    pixels = zlib.compress(bytes((side + 7) // 8 + 1) * side, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def endless(form: str, frames: int = 10_000) -> bytes:
    """Give an animation of so many frames: GIF, PNG (APNG) or WEBP."""
    first, second = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    two = encoded(first, form, save_all=True, append_images=[second], duration=80)
    if form == "GIF":
        head = two[: 13 + (3 << ((two[10] & 7) + 1))]
        at = two.index(b"!\xf9", len(head))
        after = two.index(b"!\xf9", at + 1)
        return two[:at] + two[at:after] * frames + b";"
    if form == "PNG":
        control, data = two.rindex(b"fcTL") - 4, two.rindex(b"fdAT") - 4
        frame = two[control : data + 12 + int.from_bytes(two[data : data + 4])]
        said, meant = (chunk(b"acTL", struct.pack(">II", count, 0)) for count in (2, frames))
        return two[:control].replace(said, meant) + frame * (frames - 1) + chunk(b"IEND", b"")
    at = two.index(b"ANMF")
    frame = two[at : at + 8 + int.from_bytes(two[at + 4 : at + 8], "little")]
    frame += bytes(len(frame) % 2)
    body = two[8:at] + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def mutated(random: Random) -> bytes:
    """Give one of the four forms with a few bytes set, cut out, put in, or lengths that lie."""
    form = random.choice(FORMS)
    seed = marked(form) if form != "GIF" and random.random() < 0.5 else plain(form)
    data = bytearray(endless(form, 3) if form != "JPEG" and random.random() < 0.2 else seed)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(data) + 1)
        match random.randrange(4):
            case 0:
                data[at : at + 1] = random.randbytes(random.randint(1, 2))
            case 1:
                del data[at : at + random.randint(1, 300)]
            case 2:
                data[at:at] = random.randbytes(random.randint(1, 20))
            case _:
                data[at : at + 4] = random.choice([b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff"])
    return bytes(data)

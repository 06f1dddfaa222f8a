"""Inputs made ready to be sent: what goes, what stays, which way up."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, PngImagePlugin

from kontext_tools import images, prints
from kontext_tools.errors import KontextError, SourceUnreadable
from support.pictures import chunk, encoded
from support.pictures import rgb_photo as photo

MARKER = b"PLANTED-MARKER"


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture


def planted_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = exif[0x9286] = MARKER.decode()
    exif.get_ifd(0x8825)[29] = MARKER.decode()
    exif.get_ifd(0x8769)[0x927C] = MARKER
    return exif


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SMALL = photo("chelsea.png").resize((60, 40))


def planted_jpeg(orientation: int = 1) -> bytes:
    base = encoded(SMALL, "JPEG", exif=planted_exif(orientation), comment=MARKER, icc_profile=SRGB, quality=95)
    weird = b"".join(
        segment(marker, prefix + MARKER)
        for marker, prefix in [
            (0xE0, b"JFXX\x00\x10"),
            (0xE1, b"http://ns.adobe.com/xap/1.0/\x00"),
            (0xE2, b"MPF\x00"),
            (0xE4, b""),
            (0xED, b"Photoshop 3.0\x00"),
            (0xFE, b""),
        ]
    )
    return base[:2] + weird + base[2:] + MARKER + base


def planted_png(orientation: int = 1) -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", MARKER.decode())
    texts.add_itxt("XML:com.adobe.xmp", MARKER.decode())
    base = encoded(SMALL, "PNG", pnginfo=texts, exif=planted_exif(orientation), icc_profile=SRGB)
    return base[:-12] + chunk(b"prVt", MARKER) + base[-12:] + MARKER


def planted_webp(orientation: int = 1) -> bytes:
    exif = planted_exif(orientation)
    return encoded(SMALL, "WEBP", exif=exif, xmp=MARKER, icc_profile=SRGB, lossless=True) + MARKER


PLANTED = {"JPEG": planted_jpeg, "PNG": planted_png, "WEBP": planted_webp}


@pytest.mark.parametrize("form", PLANTED)
def test_metadata_and_tails_go_and_the_pixels_stay(form: str) -> None:
    data = PLANTED[form]()
    clean, facts = images.cleaned(data, keep_metadata=False)
    assert data.count(MARKER) >= 3
    assert MARKER not in clean
    assert facts == images.read_facts(clean)
    assert opened(clean).tobytes() == opened(encoded(SMALL, form, quality=95, lossless=True)).tobytes()
    assert opened(clean).info["icc_profile"] == SRGB


@pytest.mark.parametrize("form", PLANTED)
def test_metadata_stays_where_it_is_to_be_kept_and_the_tail_goes(form: str) -> None:
    data = PLANTED[form]()
    clean, facts = images.cleaned(data, keep_metadata=True)
    assert clean.count(MARKER) >= 3
    assert clean.count(MARKER) < data.count(MARKER)
    assert facts.size_bytes == len(clean)


@pytest.mark.parametrize("form", PLANTED)
def test_cleaning_twice_changes_nothing_more(form: str) -> None:
    once, _ = images.cleaned(PLANTED[form](), keep_metadata=False)
    assert images.cleaned(once, keep_metadata=False)[0] == once


@pytest.mark.parametrize("form", PLANTED)
@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_is_baked_into_the_pixels(form: str, orientation: int) -> None:
    clean, facts = images.cleaned(PLANTED[form](orientation), keep_metadata=False)
    assert (facts.width, facts.height) == ((40, 60) if orientation >= 5 else (60, 40))
    assert MARKER not in clean
    picture = opened(clean)
    assert picture.getexif().get(0x0112, 1) == 1
    assert picture.info["icc_profile"] == SRGB
    expected = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }[orientation]
    difference = ImageChops.difference(picture.convert("RGB"), SMALL.transpose(expected)).convert("L")
    assert sum(n * count for n, count in enumerate(difference.histogram())) / (60 * 40) < (
        4 if form == "JPEG" else 0.01
    )


@pytest.mark.parametrize("form", PLANTED)
def test_a_turned_picture_that_keeps_its_exif_says_that_it_is_upright(form: str) -> None:
    clean, _ = images.cleaned(PLANTED[form](6), keep_metadata=True)
    assert MARKER in clean
    assert opened(clean).getexif()[0x0112] == 1


def test_a_lossy_webp_on_its_side_is_turned() -> None:
    data = encoded(SMALL, "WEBP", exif=planted_exif(8), quality=90)
    _, facts = images.cleaned(data, keep_metadata=False)
    assert (facts.media_type, facts.width, facts.height) == ("image/webp", 40, 60)


def test_a_cmyk_jpeg_keeps_its_adobe_segment_and_its_colours() -> None:
    data = encoded(SMALL.convert("CMYK"), "JPEG", exif=planted_exif())
    clean, _ = images.cleaned(data, keep_metadata=False)
    assert b"Adobe" in clean
    assert prints.plain(clean).tobytes() == prints.plain(data).tobytes()


def test_a_jpeg_thumbnail_in_the_jfif_segment_goes() -> None:
    data = encoded(SMALL, "JPEG")
    with_thumbnail = data[:2] + segment(0xE0, data[6:18] + b"\x01\x01" + MARKER[:3] + MARKER) + data[20:]
    clean, _ = images.cleaned(with_thumbnail, keep_metadata=False)
    assert clean == data


def frames(form: str, **options: object) -> bytes:
    others = [Image.new("RGB", (24, 16), colour) for colour in ("green", "blue")]
    return encoded(Image.new("RGB", (24, 16), "red"), form, save_all=True, append_images=others, duration=80, **options)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("keep_metadata", [False, True])
def test_an_animation_becomes_its_first_frame_as_png(form: str, keep_metadata: bool) -> None:
    options = {"lossless": True, "exif": planted_exif()} if form == "WEBP" else {}
    clean, facts = images.cleaned(frames(form, **options), keep_metadata=keep_metadata)
    picture = opened(clean)
    assert facts.media_type == "image/png"
    assert getattr(picture, "n_frames", 1) == 1
    assert picture.convert("RGB").getpixel((3, 3)) == (255, 0, 0)


def test_a_gif_with_transparency_and_comments_becomes_a_clean_png() -> None:
    data = encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "GIF", comment=MARKER) + MARKER
    clean, facts = images.cleaned(data, keep_metadata=True)
    assert (facts.media_type, MARKER in clean) == ("image/png", False)
    assert opened(clean).convert("RGBA").getpixel((4, 4))[3] == 0  # pyright: ignore[reportOptionalSubscript,reportIndexIssue,reportUnknownMemberType]


def test_a_gif_frame_beyond_its_screen_is_measured_before_it_is_decoded() -> None:
    data = encoded(Image.new("P", (8, 8)), "GIF")
    at = data.index(b",")
    grown = data[: at + 5] + struct.pack("<HH", 20_000, 20_000) + data[at + 9 :]
    with pytest.raises(KontextError) as caught:
        images.cleaned(grown, keep_metadata=False)
    assert caught.value.failure.code == "source_too_large"
    beyond = data[: at + 1] + struct.pack("<HHHH", 60_000, 0, 60_000, 1) + data[at + 9 :]
    with pytest.raises(SourceUnreadable):
        images.cleaned(beyond, keep_metadata=False)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("missing", [2, 13, 200])
def test_a_truncated_picture_is_refused(form: str, missing: int) -> None:
    with pytest.raises(SourceUnreadable):
        images.cleaned(encoded(SMALL, form)[:-missing], keep_metadata=False)


def test_a_second_png_header_is_refused() -> None:
    data = encoded(SMALL, "PNG")
    twice = data[:33] + data[8:33] + data[33:]
    with pytest.raises(SourceUnreadable):
        images.cleaned(twice, keep_metadata=False)


def test_a_file_of_countless_parts_is_refused() -> None:
    jpeg, png, gif = (encoded(SMALL, form) for form in ("JPEG", "PNG", "GIF"))
    webp = encoded(SMALL, "WEBP")
    palette_end = 13 + (3 << ((gif[10] & 7) + 1))
    for data in (
        jpeg[:2] + segment(0xFE, b"") * 260_000 + jpeg[2:],
        png[:33] + chunk(b"tEXt", b"") * 260_000 + png[33:],
        gif[:palette_end] + b"!\xfe\x00" * 260_000 + gif[palette_end:],
        gif[:palette_end] + b"!\xfe" + b"\x01a" * 260_000 + b"\x00" + gif[palette_end:],
        b"RIFF" + struct.pack("<I", 4_000_000) + b"WEBP" + b"junk\x00\x00\x00\x00" * 260_000 + webp[12:],
    ):
        with pytest.raises(SourceUnreadable):
            images.cleaned(data, keep_metadata=False)


SEEDS = [
    *(PLANTED[form](orientation) for form in PLANTED for orientation in (1, 6)),
    frames("GIF"),
    frames("PNG"),
    frames("WEBP"),
    encoded(SMALL, "JPEG", progressive=True),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["set", "cut", "insert", "length"])):
            case "set":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=2))
            case "cut":
                del data[at : at + draw(st.integers(1, 300))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=20))
            case _:
                data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff"]))
    return bytes(data)


@settings(max_examples=400, deadline=None)
@given(mutated(), st.booleans())
def test_only_our_own_errors_escape_over_mutated_pictures(data: bytes, keep_metadata: bool) -> None:
    for look in (images.read_facts, prints.thumbnail):
        with suppress(KontextError):
            look(data)
    with suppress(KontextError):
        clean, facts = images.cleaned(data, keep_metadata=keep_metadata)
        assert facts.size_bytes == len(clean)
        assert images.sniff(clean) == facts.media_type

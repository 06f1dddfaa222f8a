"""Facts, delivered files and the small copies."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from PIL import Image

from kontext_tools import images
from kontext_tools.errors import Billed, ResultInvalid, SourceTooLarge, SourceUnreadable
from kontext_tools.images import ImageFacts

PHOTOS = Path(__file__).parents[1] / "photos"


def photo(name: str) -> bytes:
    return (PHOTOS / name).read_bytes()


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def red(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (200, 30, 30))


def test_importing_images_and_changes_does_not_load_pillow() -> None:
    code = "import sys, kontext_tools.images, kontext_tools.changes; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "tools"}, check=False).returncode == 0


def test_facts_are_read_from_the_bytes() -> None:
    assert images.read_facts(photo("chelsea.png")).to_dict() == snapshot(
        {
            "media_type": "image/png",
            "width": 451,
            "height": 300,
            "size_bytes": 240512,
            "sha256": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        }
    )
    assert images.read_facts(photo("rocket.jpg")).to_dict() == snapshot(
        {
            "media_type": "image/jpeg",
            "width": 640,
            "height": 427,
            "size_bytes": 112525,
            "sha256": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        }
    )


def test_facts_survive_their_stored_form() -> None:
    facts = images.read_facts(photo("rocket.jpg"))
    assert ImageFacts.from_dict(facts.to_dict()) == facts


@pytest.mark.parametrize(
    ("form", "media_type", "extension"),
    [
        ("PNG", "image/png", "png"),
        ("JPEG", "image/jpeg", "jpg"),
        ("WEBP", "image/webp", "webp"),
        ("GIF", "image/gif", "gif"),
    ],
)
def test_each_format_is_known_by_its_first_sixteen_bytes(form: str, media_type: str, extension: str) -> None:
    data = encoded(red(7, 5), form)
    facts = images.read_facts(data)
    assert images.sniff(data[:16]) == media_type == facts.media_type
    assert (facts.extension, facts.width, facts.height) == (extension, 7, 5)


@pytest.mark.parametrize("form", ["TIFF", "ICO", "BMP", "PDF", "EPS", "TGA"])
def test_other_formats_are_refused_before_a_decoder_runs(form: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        images.read_facts(encoded(red(32, 32), form))
    assert caught.value.failure.to_dict() == snapshot(
        {
            "code": "source_unreadable",
            "message": "The image is not a PNG, JPEG, WebP or GIF picture; nothing was sent.",
            "fix": "Export it as PNG, JPEG, WebP or GIF and pass the exported picture.",
            "field": "image",
            "retryable": False,
            "billed": Billed.NO,
        }
    )


@pytest.mark.parametrize("data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"SECRET=hunter2\n" * 9])
def test_what_is_no_picture_is_refused_without_being_repeated(data: bytes) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        images.cleaned(data, keep_metadata=False)
    assert "hunter2" not in str(caught.value.failure)
    assert "svg" not in str(caught.value.failure)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_header_that_breaks_off_is_refused(form: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        images.read_facts(encoded(red(40, 40), form)[:14])
    assert caught.value.failure.to_dict() == snapshot(
        {
            "code": "source_unreadable",
            "message": "The picture is truncated or broken and cannot be decoded; nothing was sent.",
            "fix": "Open it in an image program. Export it as PNG, JPEG, WebP or GIF and pass the exported picture.",
            "field": "image",
            "retryable": False,
            "billed": Billed.NO,
        }
    )


def test_a_picture_of_169_megapixels_is_refused_from_its_header() -> None:
    data = huge_png(13_000)
    for look in (images.read_facts, partial(images.cleaned, keep_metadata=False), images.thumbnail):
        with pytest.raises(SourceTooLarge) as caught:
            look(data)
        assert caught.value.failure.to_dict() == snapshot(
            {
                "code": "source_too_large",
                "message": "The picture has more than 50 megapixels; it was not decoded and nothing was sent.",
                "fix": "Export it smaller, such as 2000 pixels on its longest side, and pass the exported picture.",
                "field": "image",
                "retryable": False,
                "billed": Billed.NO,
            }
        )


def test_the_pixel_cap_is_ours_and_not_that_of_pillow() -> None:
    assert images.read_facts(huge_png(7_071)).width == 7_071
    with pytest.raises(SourceTooLarge):
        images.read_facts(huge_png(7_072))


def test_an_input_over_50_megabytes_is_refused() -> None:
    with pytest.raises(SourceTooLarge) as caught:
        images.read_facts(photo("rocket.jpg") + bytes(images.MAX_INPUT_BYTES))
    assert caught.value.failure.to_dict() == snapshot(
        {
            "code": "source_too_large",
            "message": "The picture is 50.1 MB, over the 50 MB that are taken; nothing was sent.",
            "fix": "Export it smaller, such as 2000 pixels on its longest side, and pass the exported picture.",
            "field": "image",
            "retryable": False,
            "billed": Billed.NO,
        }
    )


def test_a_delivered_file_is_proven_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(photo("coffee.png"))
    assert images.read_output(path) == images.read_facts(photo("coffee.png"))


@pytest.mark.parametrize(
    "data",
    [
        b"<html>gone</html>",
        photo("coffee.png")[:-4000],
        photo("rocket.jpg")[:-4000],
        huge_png(8_000),
        photo("rocket.jpg") + bytes(images.MAX_OUTPUT_BYTES),
    ],
    ids=["html", "truncated png", "truncated jpeg", "64 megapixels", "64 MB"],
)
def test_a_delivered_file_that_is_no_sound_picture_is_told_as_charged(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(data)
    with pytest.raises(ResultInvalid) as caught:
        images.read_output(path)
    assert caught.value.failure.billed == "yes"
    assert caught.value.failure.fix


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "grace_hopper.jpg"])
def test_a_preview_is_a_small_upright_jpeg_without_metadata(name: str) -> None:
    facts = images.read_facts(images.preview(photo(name), 256))
    assert (facts.media_type, max(facts.width, facts.height)) == ("image/jpeg", 256)
    assert b"Exif" not in images.preview(photo(name), 256)


def test_a_preview_is_never_enlarged() -> None:
    facts = images.read_facts(images.preview(photo("chelsea.png"), 2_000))
    assert (facts.width, facts.height) == (451, 300)


def test_a_preview_of_a_picture_on_its_side_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = images.read_facts(images.preview(encoded(red(400, 200), "JPEG", exif=exif), 100))
    assert (facts.width, facts.height) == (50, 100)
    assert images.upright_size(encoded(red(400, 200), "JPEG", exif=exif)) == (200, 400)


def test_what_is_transparent_shows_white() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert images.plain(encoded(clear, "PNG")).getpixel((5, 5)) == (255, 255, 255)
    assert images.plain(encoded(clear, "GIF")).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"])
def test_every_mode_becomes_plain_rgb_of_the_same_tone(mode: str) -> None:
    picture = Image.new("RGB", (30, 20), (255, 255, 255)).convert(mode)
    form = "JPEG" if mode == "CMYK" else "TIFF" if mode == "PA" else "PNG"
    if form == "TIFF":
        picture, form = picture.convert("P"), "PNG"
    result = images.plain(encoded(picture, form), 10)
    assert (result.mode, result.size) == ("RGB", (10, 7))
    assert result.getpixel((5, 3)) == (255, 255, 255)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    picture = Image.new("I;16", (64, 1))
    picture.putdata([level * 1_040 for level in range(64)])
    row = images.plain(encoded(picture, "PNG"))
    assert [row.getpixel((x, 0)) for x in (0, 32, 63)] == snapshot([(0, 0, 0), (130, 130, 130), (255, 255, 255)])


def test_colours_are_those_that_the_profile_means() -> None:
    seen = images.plain(photo("rocket.jpg"))  # Adobe RGB
    with Image.open(io.BytesIO(photo("rocket.jpg"))) as raw:
        assert seen.getpixel((300, 100)) != raw.getpixel((300, 100))


def test_a_broken_profile_costs_its_colours_and_not_the_picture() -> None:
    data = encoded(red(20, 20), "PNG", icc_profile=b"no profile at all")
    assert images.plain(data).getpixel((3, 3)) == (200, 30, 30)


def test_a_thumbnail_is_a_webp_of_256_pixels() -> None:
    facts = images.read_facts(images.thumbnail(photo("grace_hopper.jpg")))
    assert (facts.media_type, facts.width, facts.height) == ("image/webp", 218, 256)


@pytest.mark.parametrize(("count", "size"), [(1, (512, 341)), (2, (512, 168)), (3, (512, 344)), (4, (512, 344))])
def test_a_contact_sheet_holds_one_to_four_pictures(count: int, size: tuple[int, int]) -> None:
    sheet = images.contact_sheet([photo("coffee.png")] * count, 512)
    facts = images.read_facts(sheet)
    assert (facts.media_type, facts.width, facts.height) == ("image/jpeg", *size)


def test_a_contact_sheet_keeps_each_ratio_on_white() -> None:
    wide, tall = encoded(red(400, 100), "PNG"), encoded(red(100, 400), "PNG")
    sheet = images.plain(images.contact_sheet([wide, tall], 400))
    assert max(sheet.size) <= 400
    corner = sheet.getpixel((0, 0))
    assert isinstance(corner, tuple) and min(corner) > 250


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_cap_holds_for_each_format_even_where_pillow_is_silent(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kontext_tools.pixels.MAX_PIXELS", 99)
    with pytest.raises(SourceTooLarge):
        images.read_facts(encoded(red(10, 10), form))

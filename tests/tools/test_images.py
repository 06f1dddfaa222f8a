"""What may come in, and its facts."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
from inline_snapshot import snapshot

from kontext_tools import images, prints
from kontext_tools.errors import Billed, SourceTooLarge, SourceUnreadable
from kontext_tools.images import ImageFacts
from support.pictures import encoded, huge_png, photo, red


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
    for look in (images.read_facts, partial(images.cleaned, keep_metadata=False), prints.thumbnail):
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


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_cap_holds_for_each_format_even_where_pillow_is_silent(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kontext_tools.pixels.MAX_PIXELS", 99)
    with pytest.raises(SourceTooLarge):
        images.read_facts(encoded(red(10, 10), form))

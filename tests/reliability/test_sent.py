"""RELIABILITY.md F06-F08: what of a file leaves this machine."""

# Pillow's signatures name numpy, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from PIL import Image

from kontext_server.simulator.serve import Running
from kontext_tools import images, prints
from kontext_tools.errors import SourceUnreadable
from support import hostile
from support.hostile import FORMS, MARKER
from support.naming import SECRET, allowed_folder, asked, given, sent_nothing
from support.pictures import encoded
from support.stdio_server import connected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return allowed_folder(tmp_path)


async def at_the_provider(simulator: Running, count: int) -> dict[str, bytes]:
    """Wait for so many creates, and give the bytes of the source that each carried, by prompt."""
    while len(simulator.state.jobs) < count:
        await anyio.lowlevel.checkpoint()
    came: dict[str, bytes] = {}
    for job in simulator.state.jobs.values():
        file = simulator.state.files.get(job.input["input_image"].rpartition("/")[2].partition("?")[0])
        assert file is not None and isinstance(file.content, bytes)
        came[job.input["prompt"]] = file.content
    return came


@pytest.mark.anyio
async def test_F06_a_secret_that_is_called_png_is_not_sent_and_a_polyglots_tail_neither(
    tmp_path: Path, folder: Path, simulator: Running
) -> None:
    (folder / "secret.png").write_text(SECRET, encoding="utf-8")
    (folder / "magic.png").write_bytes(b"\x89PNG\r\n\x1a\n" + SECRET.encode())
    for form in FORMS:
        (folder / f"tail-{form}.png").write_bytes(hostile.plain(form) + SECRET.encode())
    with anyio.fail_after(60):
        async with connected(tmp_path, given(simulator, folder)) as client:
            for name in ("secret.png", "magic.png"):
                assert (await asked(client, str(folder / name)))[0] == "source_unreadable"
            assert sent_nothing(simulator)
            for form in FORMS:
                assert (await asked(client, str(folder / f"tail-{form}.png"), form))[0] == ""
            came = await at_the_provider(simulator, len(FORMS))
    assert set(came) == set(FORMS)
    assert all(SECRET.encode() not in data for data in came.values())


def foreign() -> dict[str, bytes]:
    """Give a file of each kind that is not taken."""
    picture = Image.new("RGB", (32, 32), "teal")
    kinds = {form: encoded(picture, form) for form in ("TIFF", "EPS", "PDF", "ICO", "BMP", "TGA", "JPEG2000")}
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    wmf = b"\xd7\xcd\xc6\x9a" + bytes(18) + b"\x01\x00\x09\x00" + bytes(40)
    wav = b"RIFF\x24\x00\x00\x00WAVE" + bytes(40)
    return kinds | {"SVG": svg, "WMF": wmf, "PSD": b"8BPS\x00\x01" + bytes(40), "WAV": wav}


@pytest.mark.anyio
async def test_F07_every_other_format_is_refused_whatever_it_is_called(
    tmp_path: Path, folder: Path, simulator: Running
) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path, given(simulator, folder)) as client:
            for form, data in foreign().items():
                (folder / f"{form}.png").write_bytes(data)
                assert (await asked(client, str(folder / f"{form}.png")))[0] == "source_unreadable", form
    assert sent_nothing(simulator)


def test_F07_no_decoder_is_run_over_another_format(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = foreign()

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a decoder was asked for")

    monkeypatch.setattr(Image, "open", never)
    looks: list[Callable[[bytes], Any]] = [lambda data: images.cleaned(data, keep_metadata=True)]
    looks += [images.read_facts, prints.print_of, prints.thumbnail]
    for data in kinds.values():
        for look in looks:
            with pytest.raises(SourceUnreadable):
                look(data)


@pytest.mark.anyio
@pytest.mark.parametrize("kept", [False, True])
async def test_F08_no_metadata_reaches_the_provider_unless_the_operator_keeps_it(
    tmp_path: Path, folder: Path, simulator: Running, kept: bool
) -> None:
    settings = given(simulator, folder, KONTEXT_KEEP_METADATA=str(kept).lower())
    cases = {f"{form} {orientation}": (form, orientation) for form in ("JPEG", "PNG", "WEBP") for orientation in (1, 6)}
    with anyio.fail_after(60):
        async with connected(tmp_path, settings) as client:
            for prompt, (form, orientation) in cases.items():
                (folder / f"{prompt}.png").write_bytes(hostile.marked(form, orientation))
                assert (await asked(client, str(folder / f"{prompt}.png"), prompt))[0] == ""
            came = await at_the_provider(simulator, len(cases))
    for prompt, (form, orientation) in cases.items():
        assert hostile.marked(form, orientation).count(MARKER) >= 4
        assert (MARKER in came[prompt]) is kept, prompt
        with Image.open(io.BytesIO(came[prompt]), formats=[form]) as picture:
            assert picture.size == ((40, 60) if orientation == 6 else (60, 40))
            assert picture.getexif().get(0x0112, 1) == 1

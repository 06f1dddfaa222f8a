"""Where an input may come from, and what is told about the places where it may not."""

from __future__ import annotations

import contextlib
import io
import os
import zlib
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from inline_snapshot import snapshot
from PIL import Image

from kontext_tools import darkroom
from kontext_tools.errors import KontextError, SourceNotAllowed, SourceTooLarge, SourceUnreadable
from kontext_tools.http import Http
from kontext_tools.sources import AT_ONCE, Picture, Sources

pytestmark = pytest.mark.anyio


def png(width: int = 8, height: int = 6) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def reading(*roots: Path) -> Sources:
    return Sources(Http(), roots=roots)


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """An allowed folder with two pictures in it, beside a twin whose name begins the same."""
    for name in ("allowed", "allowed-evil", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cat.png").write_bytes(png())
    (tmp_path / "allowed" / "dog.jpg").write_bytes(png())
    return tmp_path / "allowed"


async def refused(sources: Sources, path: Path) -> KontextError:
    with pytest.raises(KontextError) as caught:
        await sources.from_file(path)
    return caught.value


def read_nothing(error: KontextError, sources: Sources) -> bool:
    """Whether a refusal is word for word the one of any place outside."""
    return error.failure == sources.not_allowed().failure


async def test_a_picture_in_an_allowed_folder_is_read(allowed: Path) -> None:
    picture = await reading(allowed).from_file(allowed / "cat.png")
    assert (picture.facts.media_type, picture.facts.width, picture.facts.height) == ("image/png", 8, 6)
    assert picture.facts.size_bytes == len(picture.data)


async def test_of_many_files_at_once_most_are_not_read_before_others_are_cleaned(allowed: Path) -> None:
    """Who waits holds a name and no bytes: a file that changes meanwhile is read as it is then."""
    sources, file, count = reading(allowed), allowed / "cat.png", 3 * AT_ONCE
    widths = dict[int, int]()
    leave, held = anyio.Event(), list[bool]()

    async def hold() -> None:
        async with darkroom.slot():
            held.append(True)
            await leave.wait()

    async def read(n: int) -> None:
        widths[n] = (await sources.from_file(file)).facts.width

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(darkroom.AT_ONCE):
                tasks.start_soon(hold)
            await anyio.wait_all_tasks_blocked()
            for n in range(count):
                tasks.start_soon(read, n)
            await anyio.wait_all_tasks_blocked()
            while anyio.to_thread.current_default_thread_limiter().borrowed_tokens:
                await anyio.wait_all_tasks_blocked()
            file.write_bytes(png(16))
            leave.set()
    assert len(held) == darkroom.AT_ONCE
    assert [widths[n] for n in range(count)] == [8] * AT_ONCE + [16] * (count - AT_ONCE)


async def test_a_pictures_bytes_never_show_in_its_repr(allowed: Path) -> None:
    assert "PNG" not in repr(Picture(facts=(await reading(allowed).from_file(allowed / "cat.png")).facts, data=png()))


async def test_a_picture_in_a_folder_below_and_under_a_second_root_is_read(allowed: Path, tmp_path: Path) -> None:
    (allowed / "deep" / "er").mkdir(parents=True)
    (allowed / "deep" / "er" / "cat.png").write_bytes(png())
    sources = reading(tmp_path / "nowhere", allowed)
    assert (await sources.from_file(allowed / "deep" / "er" / "cat.png")).facts.width == 8


async def test_a_folder_whose_name_begins_the_same_is_outside(allowed: Path, tmp_path: Path) -> None:
    sources = reading(allowed)
    error = await refused(sources, tmp_path / "allowed-evil" / "cat.png")
    assert isinstance(error, SourceNotAllowed) and read_nothing(error, sources)
    assert str(allowed) in error.failure.fix


async def test_what_is_outside_reads_the_same_whether_it_exists_or_not(allowed: Path, tmp_path: Path) -> None:
    sources = reading(allowed)
    outside = [
        tmp_path / "elsewhere" / "cat.png",
        tmp_path / "elsewhere" / "dog.png",
        tmp_path / "elsewhere",
        tmp_path / "no-such-folder" / "cat.png",
        tmp_path,
        Path("/dev/zero"),
        Path("/proc/self/mem"),
        Path("/"),
    ]
    for path in outside:
        assert read_nothing(await refused(sources, path), sources), path


async def test_a_link_that_leads_out_is_outside_wherever_it_lies(allowed: Path, tmp_path: Path) -> None:
    (allowed / "file-link.png").symlink_to(tmp_path / "elsewhere" / "cat.png")
    (allowed / "folder-link").symlink_to(tmp_path / "elsewhere")
    (allowed / "dangling.png").symlink_to(tmp_path / "elsewhere" / "none.png")
    sources = reading(allowed)
    for path in (allowed / "file-link.png", allowed / "folder-link" / "cat.png", allowed / "dangling.png"):
        assert read_nothing(await refused(sources, path), sources), path


async def test_a_link_that_stays_inside_is_read(allowed: Path) -> None:
    (allowed / "link.png").symlink_to(allowed / "cat.png")
    assert (await reading(allowed).from_file(allowed / "link.png")).facts.width == 8


async def test_an_allowed_folder_may_itself_be_a_link(allowed: Path, tmp_path: Path) -> None:
    (tmp_path / "by-link").symlink_to(allowed)
    sources = reading(tmp_path / "by-link")
    assert (await sources.from_file(tmp_path / "by-link" / "cat.png")).facts.width == 8
    assert (await sources.from_file(allowed / "cat.png")).facts.width == 8


async def test_hidden_files_and_folders_are_never_read_though_they_lie_inside(allowed: Path) -> None:
    (allowed / ".hidden.png").write_bytes(png())
    (allowed / ".ssh").mkdir()
    (allowed / ".ssh" / "cat.png").write_bytes(png())
    (allowed / "open.png").symlink_to(allowed / ".hidden.png")
    sources = reading(allowed)
    for path in (
        allowed / ".hidden.png",
        allowed / ".ssh" / "cat.png",
        allowed / ".ssh" / "no.png",
        allowed / "open.png",
    ):
        assert read_nothing(await refused(sources, path), sources), path


async def test_a_folder_that_the_operator_named_may_lie_in_a_hidden_one(tmp_path: Path) -> None:
    root = tmp_path / ".work" / "pictures"
    root.mkdir(parents=True)
    (root / "cat.png").write_bytes(png())
    assert (await reading(root).from_file(root / "cat.png")).facts.width == 8


async def test_a_missing_name_lists_the_nearest_pictures_and_nothing_else(allowed: Path) -> None:
    (allowed / "cat-secret.txt").write_text("not a picture")
    (allowed / ".cat.png").write_bytes(png())
    (allowed / "cats").mkdir()
    error = await refused(reading(allowed), allowed / "cat2.png")
    assert isinstance(error, SourceUnreadable)
    assert error.failure.fix.replace(str(allowed), "<root>") == snapshot(
        "Call again with one of these: <root>/cat.png."
    )


@pytest.mark.parametrize(
    "name", [b"caf\xe9.png", b"line\nline.png", "cat\u202egnp.png".encode(), "cat\u200b.png".encode()]
)
async def test_a_name_that_hides_turns_or_is_no_text_is_not_offered(allowed: Path, name: bytes) -> None:
    Path(os.fsdecode(os.fsencode(allowed) + b"/" + name)).write_bytes(png())
    error = await refused(reading(allowed), allowed / "cat2.png")
    assert error.failure.fix.replace(str(allowed), "<root>") == "Call again with one of these: <root>/cat.png."


async def test_a_missing_name_like_no_other_lists_the_first_few(allowed: Path) -> None:
    error = await refused(reading(allowed), allowed / "zzzzzzzzzz.gif")
    assert f"{allowed}/cat.png, {allowed}/dog.jpg" in error.failure.fix


async def test_a_missing_name_in_a_folder_without_pictures_says_so(allowed: Path) -> None:
    (allowed / "empty").mkdir()
    error = await refused(reading(allowed), allowed / "empty" / "cat.png")
    assert "no image lies in that folder" in error.failure.fix
    error = await refused(reading(allowed), allowed / "cat.png" / "cat.png")
    assert isinstance(error, SourceUnreadable)


async def test_an_allowed_folder_that_does_not_exist_tells_nothing_of_the_folder_around_it(tmp_path: Path) -> None:
    (tmp_path / "private.png").write_bytes(png())
    error = await refused(reading(tmp_path / "Desktop"), tmp_path / "Desktop")
    assert "private" not in error.failure.fix


async def test_a_folder_a_pipe_and_a_device_are_no_pictures_and_are_not_waited_for(allowed: Path) -> None:
    os.mkfifo(allowed / "pipe.png")
    (allowed / "sub").mkdir()
    sources = reading(allowed)
    for path in (allowed / "pipe.png", allowed / "sub", allowed):
        assert isinstance(await refused(sources, path), SourceNotAllowed), path
    anywhere = Sources(Http(), roots=None)
    for path in (Path("/dev/zero"), Path("/dev/null"), allowed / "pipe.png", allowed):
        assert isinstance(await refused(anywhere, path), SourceNotAllowed), path


async def test_refusing_leaves_no_file_open(allowed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (allowed / "sub").mkdir()
    opened, closed = list[int](), list[int]()
    real_open, real_close = os.open, os.close

    def counted_open(path: Path, flags: int) -> int:
        opened.append(real_open(path, flags))
        return opened[-1]

    def counted_close(descriptor: int) -> None:
        closed.append(descriptor)
        real_close(descriptor)

    monkeypatch.setattr(os, "open", counted_open)
    monkeypatch.setattr(os, "close", counted_close)
    for name in ("sub", "cat.png"):
        with contextlib.suppress(SourceNotAllowed):
            await reading(allowed).from_file(allowed / name)
    assert opened == closed and len(opened) == 2


async def test_a_text_that_is_called_png_is_told_as_no_picture(allowed: Path) -> None:
    (allowed / "notes.png").write_text("root:x:0:0:not a picture")
    error = await refused(reading(allowed), allowed / "notes.png")
    assert error.failure.to_dict() == snapshot(
        {
            "code": "source_unreadable",
            "message": "The image is not a PNG, JPEG, WebP or GIF picture; nothing was sent.",
            "fix": "Export it as PNG, JPEG, WebP or GIF and pass the exported picture.",
            "field": "image",
            "retryable": False,
            "billed": "no",
        }
    )


async def test_a_file_over_fifty_megabytes_is_refused_unread(allowed: Path) -> None:
    with (allowed / "big.png").open("wb") as file:
        file.truncate(60_000_000)
    assert isinstance(await refused(reading(allowed), allowed / "big.png"), SourceTooLarge)


async def test_a_small_file_of_too_many_pixels_is_refused_undecoded(allowed: Path) -> None:
    side = 13_000
    header = b"IHDR" + side.to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])
    pixels = b"IDAT" + zlib.compress(bytes((side + 7) // 8 + 1) * side, 1)
    chunks = [len(part[4:]).to_bytes(4) + part + zlib.crc32(part).to_bytes(4) for part in (header, pixels, b"IEND")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    assert len(data) < 500_000
    (allowed / "bomb.png").write_bytes(data)
    error = await refused(reading(allowed), allowed / "bomb.png")
    assert isinstance(error, SourceTooLarge) and "not decoded" in error.failure.message


async def test_no_folder_at_all_means_no_file_at_all(allowed: Path) -> None:
    sources = reading()
    error = await refused(sources, allowed / "cat.png")
    assert error.failure.fix == snapshot(
        "Pass an https address, a data URI or an earlier result such as red-car-4k7q/1."
    )
    assert read_nothing(error, sources)


async def test_a_person_at_the_command_line_may_name_any_file(allowed: Path) -> None:
    (allowed / ".hidden.png").write_bytes(png())
    sources = Sources(Http(), roots=None)
    assert (await sources.from_file(allowed / ".hidden.png")).facts.width == 8
    assert "any folder" in sources.not_allowed().failure.fix

"""The forms of an image argument: paths, file addresses, https addresses, data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kontext_tools.data_uris import is_data_uri
from kontext_tools.errors import KontextError, SourceNotAllowed, SourceTooLarge, SourceUnreadable
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.sources import Sources, is_remote

pytestmark = pytest.mark.anyio


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def reading(*roots: Path, home: Path | None = None, http: Http | None = None) -> Sources:
    return Sources(http or Http(), roots=roots, home=home)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/pictures/cat.png", "/pictures/cat.png"),
        ("~/cat.png", "/home/ann/cat.png"),
        ("~", "/home/ann"),
        ("file:///pictures/my%20cat.png", "/pictures/my cat.png"),
        ("file://localhost/pictures/cat.png", "/pictures/cat.png"),
        ("FILE:///pictures/cat.png", "/pictures/cat.png"),
        ("file:/pictures/cat.png", "/pictures/cat.png"),
        ("/pictures/ä b'.png", "/pictures/ä b'.png"),
    ],
)
def test_a_path_is_read_in_every_form_that_names_a_place(text: str, path: str) -> None:
    assert reading(Path("/pictures"), home=Path("/home/ann")).path_of(text) == Path(path)


NO_PLACES: Sequence[str] = (
    "cat.png",
    "./cat.png",
    "",
    "~bob/cat.png",
    "/pictures/../etc/passwd",
    "/pictures/cat.png\x00.txt",
    "file://other-machine/pictures/cat.png",
    "file:cat.png",
    "file:///pictures/%2e%2e/etc/passwd",
    "file:///pictures/a%00.png",
    "file://[",
    "file://℀/a",
    "http://example.com/cat.png",
    "ftp://example.com/cat.png",
    "last",
)


@pytest.mark.parametrize("text", NO_PLACES)
def test_what_names_no_place_of_this_machine_is_refused_by_its_form(text: str) -> None:
    sources = reading(Path("/pictures"))
    with pytest.raises(SourceNotAllowed) as caught:
        sources.path_of(text)
    assert caught.value.failure == sources.not_allowed().failure


@pytest.mark.parametrize("text", ["/pictures/cat.png", "~/cat.png", "file:///pictures/cat.png", "cat.png"])
def test_without_folders_every_path_is_refused_alike(text: str) -> None:
    with pytest.raises(SourceNotAllowed) as caught:
        reading().path_of(text)
    assert caught.value.failure == reading().not_allowed().failure


@pytest.mark.parametrize("text", ["data:image/png;base64,", "data:image/png;base64," + "A" * 13_400_000])
async def test_a_refused_data_uri_offers_a_path_only_where_one_may_be_named(text: str) -> None:
    offers: list[bool] = []
    for sources in (reading(Path("/pictures")), reading()):
        with pytest.raises(KontextError) as caught:
            await sources.from_data_uri(text)
        offers.append("path" in caught.value.failure.fix)
    assert offers == [True, False]


@given(st.text(max_size=40) | st.text(max_size=30).map("file://{}".format) | st.text(max_size=30).map("/{}".format))
def test_any_text_is_an_absolute_path_or_refused(text: str) -> None:
    try:
        path = reading(Path("/pictures")).path_of(text)
    except SourceNotAllowed:
        return
    assert path.is_absolute() and ".." not in path.parts and "\x00" not in str(path)


@pytest.mark.parametrize("text", ["https://example.com/a.png", "HTTPS://example.com/a.png"])
def test_an_https_address_is_remote_in_capitals_too(text: str) -> None:
    assert is_remote(text) and not is_data_uri(text)
    assert is_data_uri("DATA:image/png;base64,AA==") and not is_remote("http://example.com")


async def test_a_data_uri_is_read() -> None:
    text = "data:image/png;base64," + base64.b64encode(png()).decode()
    assert (await reading().from_data_uri(text)).facts.width == 8


@pytest.mark.parametrize(
    "text", ["data:image/png,AAAA", "data:image/png;base64,", "data:;base64,@@@@", "data:image/png;base64,AAAA"]
)
async def test_a_data_uri_without_a_picture_is_unreadable_and_is_not_repeated(text: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        await reading().from_data_uri(text)
    assert "AAAA" not in str(caught.value.failure)


async def test_a_data_uri_over_ten_megabytes_is_too_large() -> None:
    with pytest.raises(SourceTooLarge):
        await reading().from_data_uri("data:image/png;base64," + "A" * 13_400_000)


async def resolver(host: str, port: int) -> Sequence[str]:
    if host == "unknown.example":
        raise OSError
    return ["10.0.0.1"] if host == "internal.example" else ["93.184.216.34"]


@pytest.mark.parametrize(
    "url", ["https://me:pw@example.com/a.png", "http://example.com/a.png", "https://example.com:8443/"]
)
def test_an_address_is_judged_by_its_text(url: str) -> None:
    sources = reading(http=Http(guard=Guard(resolver=resolver)))
    with pytest.raises(SourceNotAllowed) as caught:
        sources.check_url(url)
    assert "pw" not in str(caught.value.failure) and "example" not in str(caught.value.failure)
    sources.check_url("https://example.com/a.png")


async def test_a_private_host_is_refused_and_one_that_only_the_provider_knows_passes() -> None:
    sources = reading(http=Http(guard=Guard(resolver=resolver)))
    with pytest.raises(SourceNotAllowed):
        await sources.check_host("https://internal.example/a.png")
    await sources.check_host("https://unknown.example/a.png")
    await sources.check_host("https://example.com/a.png")

"""An https source that is fetched: by way of a temporary file that never stays."""

from __future__ import annotations

import io
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from kontext_tools.errors import KontextError, SourceNotAllowed, SourceTooLarge, SourceUnreadable
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.sources import Sources

pytestmark = pytest.mark.anyio


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


class Files(BaseHTTPRequestHandler):
    """Serves a picture, a page, a refusal, a picture that is too large, and a way to an internal host."""

    def do_GET(self) -> None:
        bodies = {"/cat.png": png(), "/page": b"<html>sign in</html>"}
        status = 302 if self.path == "/moved" else 200 if self.path in (*bodies, "/huge") else 404
        body = bodies.get(self.path, b"")
        self.send_response(status)
        self.send_header("location", "http://169.254.169.254/latest/meta-data")
        self.send_header("content-length", str(len(body) if self.path != "/huge" else 60_000_000))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/huge":
            try:
                for _ in range(60):
                    self.wfile.write(bytes(1_000_000))
            except OSError:
                self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Say nothing."""


@pytest.fixture
def base() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def reading(base: str) -> Sources:
    return Sources(Http(guard=Guard(trusted=[base])), roots=())


async def test_a_picture_is_fetched_and_its_temporary_file_is_gone(base: str, tmp_path: Path) -> None:
    picture = await reading(base).from_url(f"{base}/cat.png", tmp_path / "part")
    assert (picture.facts.width, picture.facts.height) == (8, 6)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/page", SourceUnreadable),
        ("/none.png", SourceUnreadable),
        ("/huge", SourceTooLarge),
        ("/moved", SourceNotAllowed),
    ],
)
async def test_what_gives_no_picture_is_told_and_leaves_nothing_behind(
    base: str, tmp_path: Path, path: str, kind: type[KontextError]
) -> None:
    with pytest.raises(kind) as caught:
        await reading(base).from_url(base + path, tmp_path / "part")
    assert base not in str(caught.value.failure)
    assert "path" not in caught.value.failure.fix  # these sources take no file of this machine
    assert left_in(tmp_path) == []


async def test_an_address_that_the_guard_refuses_is_not_asked(base: str, tmp_path: Path) -> None:
    with pytest.raises(SourceNotAllowed):
        await Sources(Http(), roots=()).from_url(f"{base}/cat.png", tmp_path / "part")


async def test_a_server_that_is_not_there_gives_no_file(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"
    with pytest.raises(SourceUnreadable):
        await reading(nobody).from_url(f"{nobody}/cat.png", tmp_path / "part")

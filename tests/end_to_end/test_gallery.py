"""`kontext gallery` as a person starts it: a process, an address that opens once, a browser that is opened."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio
import httpx2
import pytest

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_server.simulator.serve import Running
from kontext_tools.edits import Edit
from kontext_tools.planning import Asked
from kontext_tools.plans import Step
from kontext_tools.views import Call, View
from support.forked import KONTEXT, Popen, run
from support.stdio_server import PHOTOS, environment

PATIENCE_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A gallery that is served: the line it printed, and its process."""

    line: str
    process: subprocess.Popen[str]

    @property
    def base(self) -> str:
        return self.line.partition("/?token=")[0]

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Send it a signal; give its exit code, and what it wrote since its line."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@contextmanager
def gallery(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Generator[Opened]:
    command = [*KONTEXT, "gallery", *arguments]
    settings = environment(folder, {"KONTEXT_PROVIDER": "sandbox"} if env is None else env)
    with Popen(
        command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Opened(line=process.stdout.readline().rstrip("\n"), process=process)
        finally:
            process.kill()


def edited(folder: Path) -> str:
    command = [*KONTEXT, "edit", str(PHOTOS / "chelsea.png"), "Make it sepia", "--json"]
    settings = environment(folder, {"KONTEXT_PROVIDER": "sandbox"})
    ended = run(command, env=settings, text=True, timeout=PATIENCE_S)
    return json.loads(ended.stdout)["job_id"]


async def _recorded(folder: Path, simulator: Running) -> str:
    """Record a plan whose process ends before anything is sent of it; give its id."""
    settings = {name.lower(): value for name, value in simulator.settings.items()}
    app = build(load(kontext_data_dir=folder / "data", **settings))
    async with app.reading():
        steps = (Step(id="car", edit=Edit(prompt="A red car")),)
        view = await app.studio.run_plan(Asked(steps=steps), Call(owner=LOCAL_OWNER))
    assert isinstance(view, View) and not view.job.status.ended
    return view.job.id


def test_looking_at_pictures_sends_nothing_of_a_plan_whose_client_is_gone(tmp_path: Path, simulator: Running) -> None:
    job = edited(tmp_path)
    plan = anyio.run(_recorded, tmp_path, simulator)
    with gallery(tmp_path, "--no-open", env=simulator.settings) as opened:
        with httpx2.Client(base_url=opened.base, timeout=PATIENCE_S) as browser:
            browser.get(opened.line)
            uris = (f"kontext://jobs/{plan}", "kontext://jobs", f"kontext://images/{job}/1", "kontext://usage")
            # An engine would have begun at once: it needs milliseconds.
            read = [browser.get("/read", params={"uri": uri}) for uri in uris * 25]
            status = browser.get("/read", params={"uri": f"kontext://jobs/{plan}"}).json()["status"]
        assert opened.end(signal.SIGTERM)[0] == 0
    exported = ["export", job, "--html", str(tmp_path / "cat.html")]
    settings = environment(tmp_path, simulator.settings)
    ended = run([*KONTEXT, *exported], env=settings, text=True, timeout=PATIENCE_S)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {answer.status_code for answer in read} == {200}
    assert status == "pending"
    assert simulator.state.journal.entries() == []


def test_past_pictures_are_read_by_the_address_that_it_prints(tmp_path: Path) -> None:
    job = edited(tmp_path)
    with gallery(tmp_path, "--no-open") as opened:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", opened.line)
        with httpx2.Client(base_url=opened.base, timeout=PATIENCE_S) as browser:
            closed = browser.get("/read", params={"uri": "kontext://jobs"})
            entered = browser.get(opened.line)
            page = browser.get("/")
            picture = browser.get("/read", params={"uri": f"kontext://images/{job}/1"})
            kept = browser.get(
                "/read", params={"uri": f"kontext://images/{job}/1"}, headers={"If-None-Match": picture.headers["etag"]}
            )
            jobs = browser.get("/read", params={"uri": "kontext://jobs"})
            stranger = httpx2.get(opened.line)
            foreign = browser.get("/", headers={"Host": "evil.example"})
            posted = browser.post("/")
        code, out, err = opened.end(signal.SIGINT)
    assert (closed.status_code, stranger.status_code, foreign.status_code, posted.status_code) == (401, 401, 421, 405)
    assert (entered.status_code, page.status_code) == (200, 200)
    assert 'http-equiv="refresh" content="0;url=/"' in entered.text
    port = opened.base.rpartition(":")[2]
    assert entered.headers["set-cookie"].startswith(f"kontext-gallery-{port}=")
    assert '{"kind":"gallery"}' in page.text
    assert picture.content == (tmp_path / "data" / "images" / f"{job}-1.png").read_bytes()
    assert (kept.status_code, kept.content) == (304, b"")
    assert [one["job_id"] for one in jobs.json()["jobs"]] == [job]
    assert "server" not in page.headers
    assert (code, out) == (0, "")
    assert "Ctrl-C" in err and "Traceback" not in err
    # The token is told once, on stdout, and nowhere else.
    assert opened.line.partition("token=")[2] not in err


def test_a_signal_ends_it_well_and_its_line_can_be_json(tmp_path: Path) -> None:
    with gallery(tmp_path, "--no-open", "--json") as opened:
        told = json.loads(opened.line)
        code, out, _ = opened.end(signal.SIGTERM)
    assert (code, out, list(told)) == (0, "", ["url"])
    assert told["url"].startswith("http://127.0.0.1:")


@pytest.mark.skipif(os.name == "nt", reason="a browser that is a shell's script")
@pytest.mark.parametrize("used", [True, False])
def test_the_browser_is_given_a_private_page_that_lives_until_the_address_is_used(tmp_path: Path, used: bool) -> None:
    (tmp_path / "temporary").mkdir()
    with _browsing(tmp_path) as (opened, given):
        page = Path(unquote(urlsplit(given).path))
        assert given.startswith("file:///") and "token" not in given
        assert page.parent.parent == tmp_path / "temporary"
        assert [stat.S_IMODE(path.stat().st_mode) for path in (page, page.parent)] == [0o600, 0o700]
        assert f'content="0;url={opened.line}"' in page.read_text() and f'<a href="{opened.line}">' in page.read_text()
        if used:
            assert httpx2.get(opened.line).status_code == 200
            assert not page.parent.exists()
        code, out, err = opened.end(signal.SIGTERM)
    assert (code, out) == (0, "")
    assert "noise" not in err
    assert list((tmp_path / "temporary").iterdir()) == []


@contextmanager
def _browsing(folder: Path) -> Generator[tuple[Opened, str]]:
    """Serve a gallery on a machine with a display; give what its browser was told on the command line."""
    os.mkfifo(folder / "opened")
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho noise; echo noise >&2; echo "$@" > {folder}/opened\n')
    browser.chmod(0o755)
    env = {"BROWSER": str(browser), "DISPLAY": ":9", "TMPDIR": str(folder / "temporary")}
    with gallery(folder, env=env) as opened:
        yield opened, (folder / "opened").read_text().strip()


@pytest.mark.parametrize("display", [{}, {"DISPLAY": ":9"}])
def test_a_browser_that_cannot_be_opened_is_no_failure(tmp_path: Path, display: dict[str, str]) -> None:
    env = {"BROWSER": "/nowhere/browser", "PATH": "/nowhere", "TMPDIR": "/nowhere", **display}
    with gallery(tmp_path, env=env) as opened:
        answer = httpx2.get(opened.line)
        assert opened.end(signal.SIGTERM)[:2] == (0, "")
    assert answer.status_code == 200


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with gallery(tmp_path, "--port", port, "--no-open") as opened:
            out, err = opened.process.communicate(timeout=PATIENCE_S)
    assert (opened.process.returncode, opened.line, out) == (1, "", "")
    assert f"Port {port} of 127.0.0.1 cannot be taken" in err and "--port" in err

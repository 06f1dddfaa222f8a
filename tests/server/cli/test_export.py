"""`export`: a job as one file, where the person wants it, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from kontext_server.cli import export, saving
from kontext_tools.stores.sqlite import SqliteStore
from support.rows import a_job, admit

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]

LEAD = r"Edited by sandbox, which is no model, on \d{4}-\d\d-\d\d \(UTC\) for 0 usd, asked for through kontext\."


def block_of(page: Path) -> Any:
    (text,) = re.findall(r'id="kontext">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(text)


def edited(invoke: Invoke, *more: str) -> str:
    ended = invoke("edit", "cat.png", "Make it </script> sepia\nand warm", "--json", *more)
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)["job_id"]


def test_one_file_holds_the_pictures_and_says_whose_work_they_are(invoke: Invoke, kontext: Kontext, home: Path) -> None:
    job = edited(invoke)
    ended = kontext("export", job, "--html", "cat.html")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "cat.html\n", "")
    told = block_of(home / "cat.html")
    images = [f"kontext://images/{job}/{n}/{form}" for n in (0, 1) for form in ("preview", "meta", "lineage")]
    assert list(told.pop("resources")) == [f"kontext://jobs/{job}", *images]
    assert re.fullmatch(LEAD, told.pop("lead")[0])
    assert told == {"kind": "file", "title": "Make it </script> sepia and warm", "show": f"{job}/1"}
    page = (home / "cat.html").read_text(encoding="utf-8")
    assert str(home) not in page and os.fspath(Path.home()) not in page
    assert stat.S_IMODE((home / "cat.html").stat().st_mode) == 0o666 & ~_umask()
    # Nothing lies beside it.
    assert sorted(path.name for path in home.iterdir() if not path.name.startswith(".share")) == ["cat.html", "cat.png"]


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def test_the_picture_that_was_named_is_shown_first_and_json_tells_the_file(invoke: Invoke, home: Path) -> None:
    job = edited(invoke, "--num-images", "2")
    for name, shown in ((f"{job}/2", f"{job}/2"), (f"kontext://images/{job}/1", f"{job}/1"), (f"{job}/0", f"{job}/0")):
        ended = invoke("export", name, "--html", "cat.html", "--force", "--json")
        assert json.loads(ended.stdout) == {"job_id": job, "html": "cat.html"}
        assert block_of(home / "cat.html")["show"] == shown


def test_a_file_that_lies_there_is_left_alone_unless_force_is_said(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    (home / "cat.html").write_text("mine")
    ended = invoke("export", job, "--html", "cat.html", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["error"]["field"]) == (2, "html")
    assert "--force" in ended.stderr and "nothing was written" in ended.stderr
    assert (home / "cat.html").read_text() == "mine"
    assert invoke("export", job, "--html", "cat.html", "--force").exit_code == 0
    assert block_of(home / "cat.html")["kind"] == "file"


@pytest.mark.parametrize(("place", "told"), [("missing/cat.html", "missing"), (".", "result.html")])
def test_a_place_that_is_none_is_refused(invoke: Invoke, place: str, told: str) -> None:
    ended = invoke("export", "nobody-4k7q", "--html", place)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert told in ended.stderr


@pytest.mark.parametrize("arguments", [[], ["--html"], ["--html", "-"]])
def test_a_file_must_be_named(invoke: Invoke, arguments: list[str]) -> None:
    ended = invoke("export", "nobody-4k7q", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")


@pytest.mark.parametrize(("name", "code"), [("nobody-4k7q", "not_found"), ("../../etc/passwd", "not_found")])
def test_a_job_that_is_not_there_is_refused(invoke: Invoke, home: Path, name: str, code: str) -> None:
    ended = invoke("export", name, "--html", "cat.html", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["error"]["code"]) == (1, code)
    assert not (home / "cat.html").exists()


def test_a_picture_that_the_job_has_not_is_refused_with_those_it_has(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    ended = invoke("export", f"{job}/7", "--html", "cat.html")
    assert ended.exit_code == 1
    assert f"{job}/1" in ended.stderr
    assert not (home / "cat.html").exists()


@pytest.mark.anyio
async def test_a_job_without_a_picture_is_refused_with_what_to_do(kontext: Kontext, home: Path) -> None:
    (home / ".share" / "kontext").mkdir(parents=True)
    store = SqliteStore(home / ".share" / "kontext" / "kontext.db")
    # Its provider is not configured here: it goes nowhere.
    await admit(store, a_job("waits-4k7q", owner="local"))
    await store.close()
    waits = kontext("export", "waits-4k7q", "--html", "cat.html", "--json")
    assert (waits.returncode, json.loads(waits.stdout)["error"]["code"]) == (1, "unknown_ref")
    assert "kontext status waits-4k7q --wait 50" in waits.stderr
    assert kontext("cancel", "waits-4k7q").returncode == 0
    ended = kontext("export", "waits-4k7q", "--html", "cat.html")
    assert ended.returncode == 1
    assert "ended without an image" in ended.stderr and "kontext images" in ended.stderr
    assert not (home / "cat.html").exists()


def test_a_picture_that_was_changed_is_not_exported(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    (home / ".share" / "kontext" / "images" / f"{job}-1.png").write_bytes(b"other")
    ended = invoke("export", job, "--html", "cat.html")
    assert (ended.exit_code, ended.stdout) == (4, "")
    assert not (home / "cat.html").exists()


def test_a_file_that_cannot_be_written_is_told(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = edited(invoke)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "write", full)
    ended = invoke("export", job, "--html", "cat.html")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "No space left on device" in ended.stderr and "--html" in ended.stderr


def test_a_long_prompt_is_a_short_title() -> None:
    assert export.title_of("a\n b\t c ") == "a b c"
    assert export.title_of("x" * 80) == "x" * 80
    assert export.title_of("x" * 81) == "x" * 79 + "…"

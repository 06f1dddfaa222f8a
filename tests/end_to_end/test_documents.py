"""What README and docs show is what happens: each example is typed, called or read as it stands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.documents import ANYTHING, PAGES, Ids, blocks, called, typed
from support.readme import ROOT
from support.stdio_server import PHOTOS, call, connected, fields_of

Kontext = Callable[..., subprocess.CompletedProcess[str]]

OURS = (".venv/bin/kontext", "kontext")
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A person's home, a photograph among their pictures."""
    (tmp_path / "Pictures").mkdir()
    shutil.copy(PHOTOS / "chelsea.png", tmp_path / "Pictures" / "cat.png")
    return tmp_path


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """What a person's shell gives, without any setting of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KONTEXT_", "XDG_"))}
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "USERPROFILE": str(home),
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }


@pytest.fixture
def kontext(home: Path, environment: dict[str, str]) -> Kontext:
    """Run the program to its end, in the person's home."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "kontext_server", *arguments],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done

    return run


@pytest.mark.parametrize("name", NAMES)
def test_what_is_typed_prints_what_the_page_shows(name: str, home: Path, kontext: Kontext) -> None:
    ids = Ids()
    for block in blocks((ROOT / name).read_text(encoding="utf-8"), "console"):
        for example in typed(block):
            program, *arguments = shlex.split(ids.real(example.command))
            assert program in OURS, example.command
            done = kontext(*arguments)
            if example.prints and example.prints != ANYTHING:
                told, real = example.prints.splitlines(), done.stdout.replace(str(home), "/home/me").splitlines()
                assert len(told) == len(real), (example.command, done.stdout)
                for line, as_it_is in zip(told, real, strict=True):
                    ids.learn(line, as_it_is)


@pytest.mark.anyio
@pytest.mark.parametrize("name", NAMES)
async def test_what_is_called_brings_what_the_page_shows(name: str, home: Path) -> None:
    for block in blocks((ROOT / name).read_text(encoding="utf-8"), "conversation"):
        ids = Ids()
        with anyio.fail_after(60):
            async with connected(home / ".data", {"KONTEXT_IMAGE_ROOTS": str(home / "Pictures")}) as client:
                for example in called(block):
                    fields = fields_of(await call(client, example.tool, **_here(ids, example.arguments, home)))
                    assert len(fields["images"]) == len(example.refs)
                    for told, image in zip(example.refs, fields["images"], strict=True):
                        ids.learn(told, image["ref"])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_in_a_file_is_read(name: str, home: Path, kontext: Kontext) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for block in blocks(text, "json"):
        json.loads(block)
    for block in blocks(text, "toml"):
        if "steps" in tomllib.loads(block):
            (home / "plan.toml").write_text(block, encoding="utf-8")
            kontext("plan", "plan.toml", "--dry-run")
        else:
            file = home / ".config" / "kontext" / "kontext.toml"
            file.parent.mkdir(parents=True, exist_ok=True)
            (home / "key").write_text("cdt_0123456789", encoding="utf-8")
            file.write_text(re.sub(r'"/home/me/[^"]+"', json.dumps(str(home / "key")), block), encoding="utf-8")
            assert f"Also read: {file}" in kontext("config", "show").stderr


def test_the_readme_has_an_example_of_each_kind() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(blocks(text, language) for language in ("console", "conversation", "toml", "json"))
    assert [example.tool for block in blocks(text, "conversation") for example in called(block)] == [
        "edit_image",
        "edit_image",
        "edit_image",
        "find_images",
    ]


def _here(ids: Ids, arguments: dict[str, Any], home: Path) -> dict[str, Any]:
    """Give a call's arguments, ids and the home folder as they are here."""
    return {
        name: ids.real(value).replace("~", str(home)) if isinstance(value, str) else value
        for name, value in arguments.items()
    }

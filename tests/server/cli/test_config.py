"""`kontext config show` and `kontext completion`: what is in force, and what a shell is taught."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kontext_server.settings import Settings
from kontext_tools.choosing import KEY_VARIABLES

Invoke = Callable[..., Result]
KEY = "k-0123456789abcdef"


@pytest.fixture
def file(home: Path) -> Path:
    """Where `kontext.toml` lies; its folder is there."""
    file = home / ".config" / "kontext" / "kontext.toml"
    file.parent.mkdir(parents=True)
    return file


def test_what_is_set_is_shown_with_where_it_comes_from(
    invoke: Invoke, file: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "fal").write_text(f"{KEY}\n", encoding="utf-8")
    file.write_text(f'fal_price = "0.05 usd"\nBFL_API_KEY = "{KEY}"\nKONTEXT_PREVIEW = "small"\n', encoding="utf-8")
    set_here = {
        "CORE_TODAY_API_KEY": KEY,
        "FAL_KEY_FILE": str(home / "fal"),
        "KONTEXT_DAILY_BUDGET": "5 usd, 3000 credit",
        "KONTEXT_IMAGE_ROOTS": "/a:/b",
        "KONTEXT_KEEP_METADATA": "yes",
        "KONTEXT_PREVIEW": "large",
        "KONTEXT_PROVIDER": "fal, bfl",
        "KONTEXT_PROXY": "http://me:hunter2@proxy:8080",
    }
    for name, value in set_here.items():
        monkeypatch.setenv(name, value)
    ended = invoke("config", "show")
    assert ended.exit_code == 0
    assert ended.stdout.splitlines() == [
        "VARIABLE               VALUE                    FROM",
        "CORE_TODAY_API_KEY     (set)                    environment",
        "BFL_API_KEY            (set)                    kontext.toml",
        "FAL_KEY                (set)                    a file of its own",
        "FAL_PRICE              0.05 usd                 kontext.toml",
        "KONTEXT_PROVIDER       fal, bfl                 environment",
        "KONTEXT_IMAGE_ROOTS    /a:/b                    environment",
        "KONTEXT_KEEP_METADATA  true                     environment",
        "KONTEXT_DAILY_BUDGET   5 usd, 3000 credit       environment",
        "KONTEXT_PREVIEW        large                    environment",
        "KONTEXT_PROXY          http://(set)@proxy:8080  environment",
    ]
    assert ended.stderr == f"Also read: {file}\n"


def test_nothing_set_says_so_and_makes_no_folder(invoke: Invoke, home: Path) -> None:
    ended = invoke("config", "show")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert ended.stderr.startswith("Nothing is set")
    assert not (home / ".share").exists()


def test_json_tells_every_setting_and_no_key(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*KEY_VARIABLES.values(),):
        monkeypatch.setenv(variable, KEY)
    ended = invoke("config", "show", "--json")
    told = {row["variable"]: row for row in json.loads(ended.stdout)["settings"]}
    assert list(told) == [name.upper() for name in Settings.model_fields]
    assert KEY not in ended.stdout
    assert told["FAL_KEY"] == {"variable": "FAL_KEY", "value": "(set)", "from": "environment"}
    assert told["KONTEXT_PREVIEW"] == {"variable": "KONTEXT_PREVIEW", "value": "medium", "from": "default"}
    assert invoke("config", "show", "--all").stdout.count("\n") == len(told) + 1


def test_a_wrong_setting_is_named_and_ends_with_3(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTEXT_WAIT_SECONDS", "90")
    ended = invoke("config", "show")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "KONTEXT_WAIT_SECONDS is wrong" in ended.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_this_program(invoke: Invoke, shell: str) -> None:
    ended = invoke("completion", shell)
    assert ended.exit_code == 0
    assert f"_KONTEXT_COMPLETE={shell}_complete" in ended.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("kontext ex", ["plain,export"]),
        ("kontext completion ", ["plain,bash", "plain,zsh", "plain,fish"]),
        ("kontext config s", ["plain,show"]),
        ("kontext status --wa", ["plain,--wait", "plain,--wait-seconds"]),
    ],
)
def test_a_shell_is_told_what_a_line_may_go_on_with(
    environment: dict[str, str], home: Path, typed: str, offered: list[str]
) -> None:
    words = typed.split(" ")
    asked = {"_KONTEXT_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "kontext_server"],
        cwd=home,
        env=environment | asked,
        stdin=subprocess.DEVNULL,  # as zsh asks: alone and on no terminal it would serve
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (offered, "")

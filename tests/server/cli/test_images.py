"""`images`: what was made so far."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from click.testing import Result

from kontext_server.cli.tables import age

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]
OnTerminal = Callable[..., tuple[int, str, str]]

HOSTILE = "a lake \x1b[2J[bold]\n and words that go on and on until nobody wants to read them any more"


def test_without_pictures_it_says_how_to_make_one(invoke: Invoke) -> None:
    ended = invoke("images")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "kontext demo" in ended.stderr
    assert json.loads(invoke("images", "--json").stdout) == {
        "images": [],
        "next": "Call edit_image or generate_image to make one.",
    }


def test_a_table_is_aligned_and_holds_no_control_character(invoke: Invoke) -> None:
    assert invoke("generate", HOSTILE, "-n", "2", "--label", "lake").exit_code == 0
    ended = invoke("images", "lake")
    header, *rows = ended.stdout.splitlines()
    assert header.split() == ["REF", "SIZE", "PROVIDER", "AGE", "PROMPT"]
    assert len(rows) == 2
    assert rows[0][header.index("PROMPT") :].startswith("a lake  [2J[bold] and words")
    assert rows[0].endswith("…")
    assert "\x1b" not in ended.stdout


def test_json_pages_by_cursor(invoke: Invoke) -> None:
    made = json.loads(invoke("generate", "a lake", "-n", "2", "--json").stdout)
    first = json.loads(invoke("images", "--limit", "1", "--json").stdout)
    second = json.loads(invoke("images", "--limit", "1", "--cursor", first["next_cursor"], "--json").stdout)
    pages = [page["images"][0]["ref"] for page in (first, second)]
    assert sorted(pages) == [image["ref"] for image in made["images"]]
    assert first["images"][0]["prompt"] == "a lake"
    assert first["next"].startswith("To go on from one")
    edited = json.loads(invoke("edit", first["images"][0]["ref"], "Make it warm", "--json").stdout)
    newest = json.loads(invoke("images", "warm", "--json").stdout)["images"]
    assert [(image["ref"], image["parent"]) for image in newest] == [
        (edited["images"][0]["ref"], first["images"][0]["ref"])
    ]
    more = invoke("images", "--limit", "1")
    assert "--cursor" in more.stderr


def test_words_a_time_and_a_descent_narrow_the_list(invoke: Invoke) -> None:
    lake = json.loads(invoke("generate", "a lake", "--json").stdout)["images"][0]["ref"]
    warm = json.loads(invoke("edit", lake, "Make it warm", "--json").stdout)["images"][0]["ref"]

    def listed(*arguments: str) -> list[str]:
        ended = invoke("images", *arguments, "--json")
        assert ended.exit_code == 0, ended.output
        return [image["ref"] for image in json.loads(ended.stdout)["images"]]

    assert listed("--since", "1h") == listed() == [warm, lake]
    assert listed("--since", "2999-01-01") == []
    assert listed("--derived-from", lake) == [warm]
    assert listed("lakes", "--since", "1d") == [lake]
    assert listed("? *") == []
    ended = invoke("images", "zebra")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert ended.stderr == "No picture found. All of them:  kontext images\n"
    assert "at least one" in invoke("images", "lake zebra").stderr


def test_on_a_terminal_it_is_drawn(kontext: Kontext, on_terminal: OnTerminal) -> None:
    ref = json.loads(kontext("generate", "a [red]lake", "--json").stdout)["images"][0]["ref"]
    code, _, shown = on_terminal("images", stdout_too=True)
    assert code == 0
    assert ref in shown
    assert "a [red]lake" in shown
    assert "─" in shown


@pytest.mark.parametrize("arguments", [("--limit", "0"), ("--limit", "many"), ("--cursor", "zzz"), ("--since", "soon")])
def test_what_it_cannot_read_is_a_usage_error(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    ended = invoke("images", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")


def test_an_age_is_told_in_one_unit() -> None:
    assert [age(s) for s in (0, 59, 60, 3599, 3600, 86_399, 86_400)] == [
        "now",
        "now",
        "1 min",
        "59 min",
        "1 h",
        "23 h",
        "1 d",
    ]

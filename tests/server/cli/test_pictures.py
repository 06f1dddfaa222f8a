"""How a picture is named at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kontext_server.cli.pictures import as_named


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "red-car-4k7q/1",
        "red-car-4k7q",
        "`red-car-4k7q/2`",
        "kontext://images/red-car-4k7q/1",
        "https://example.com/cat.png",
        "http://example.com/cat.png",
        "data:image/png;base64,AAAA",
        "DATA:image/png;base64,AAAA",
        "file:///srv/cat.png",
        "~/cat.png",
        "/srv/cat.png",
        "",
        "  ",
    ],
)
def test_references_addresses_and_whole_paths_pass_unchanged(text: str) -> None:
    assert as_named(text) == text


@pytest.mark.parametrize("text", ["cat.png", "pictures/cat.png", "./red-car-4k7q", "photo 1.png", "a:b.png"])
def test_a_relative_path_is_made_absolute(here: Path, text: str) -> None:
    assert as_named(text) == str(here / text)


def test_a_way_up_is_walked(here: Path) -> None:
    (here / "sub").mkdir()
    assert as_named("sub/../cat.png") == str(here.resolve() / "cat.png")
    assert as_named(f"{here}/sub/../cat.png") == str(here.resolve() / "cat.png")


def test_a_mistyped_reference_stays_one_so_that_the_nearest_is_named() -> None:
    assert as_named("red-car-4k7o/1") == "red-car-4k7o/1"


def test_a_file_that_looks_like_a_mistyped_reference_is_the_file(here: Path) -> None:
    (here / "my-photo").touch()
    assert as_named("my-photo") == str(here / "my-photo")

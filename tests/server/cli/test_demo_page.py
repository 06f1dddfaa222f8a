"""The demo's page: whole in itself, and safe whatever it shows."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kontext_server import cli
from kontext_server.cli.demo_agent import Step
from kontext_server.cli.demo_page import page

PHOTO = Path(cli.__file__).parents[1] / "assets" / "chelsea.png"
HOSTILE = '<script>alert(1)</script> & "quoted" ${x}'


def _step(**changed: Any) -> Step:
    fields = {
        "images": [{"ref": "red-car-4k7q/1", "path": str(PHOTO), "width": 451, "height": 300}],
        "cost": {"amount": "0", "unit": "usd", "basis": "reported"},
        "seconds": 1.25,
        "change": {"percent": 12.5, "where": "everywhere", "sharpness": 1.0},
    }
    return Step(prompt=HOSTILE, image=str(PHOTO), fields=fields | changed)


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return page(PHOTO, [_step(), _step(change={"percent": 3.0, "where": "bottom", "sharpness": 1.0}), _step()])


@pytest.fixture(scope="module")
def seen(text: str) -> _Seen:
    parser = _Seen()
    parser.feed(text)
    return parser


def test_nothing_is_fetched_from_anywhere(text: str, seen: _Seen) -> None:
    sources = [attributes["src"] or "" for _, attributes in seen.tags if "src" in attributes]
    assert len(sources) == 6
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|@import", text)
    assert not seen.all("link")
    assert not seen.all("a")


def test_the_policy_allows_the_one_style_and_the_one_script_by_their_hash(text: str, seen: _Seen) -> None:
    [policy] = [meta["content"] or "" for meta in seen.all("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for element in ("style", "script"):
        [content] = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert not any("style" in attributes or "onclick" in attributes for _, attributes in seen.tags)


def test_what_it_shows_is_text(text: str) -> None:
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quoted&quot; ${x}") >= 3


def test_pictures_have_words_and_sliders_have_names(seen: _Seen) -> None:
    assert all(image["alt"] for image in seen.all("img"))
    assert [slider["aria-label"] for slider in seen.all("input")] == [
        f"Edit {n}: how much of before is shown" for n in (1, 2, 3)
    ]
    assert [html["lang"] for html in seen.all("html")] == ["en"]


def test_a_local_change_is_seen_whole_at_first(seen: _Seen) -> None:
    assert [slider["value"] for slider in seen.all("input")] == ["50", "10", "50"]


def test_a_change_that_was_not_measured_is_told_so() -> None:
    assert "not measured" in page(PHOTO, [_step(change=None)])


def test_it_reads_in_light_and_dark(text: str) -> None:
    assert "prefers-color-scheme: dark" in text
    assert 'content="width=device-width, initial-scale=1"' in text

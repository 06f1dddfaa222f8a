"""The studio's pages: whole in themselves, safe whatever they show, allowed nothing but the built script and style."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from inline_snapshot import snapshot

from kontext_server import __version__
from kontext_server.surface import studio_page
from kontext_server.surface.studio_page import built, gallery, hashes

HOSTILE = '</script><script>alert(1)</script><!-- <script> --> & "it\'s" \u2028\u2029 \\u003c 猫'


class Seen(HTMLParser):
    """The elements of a page, with the text of each script, style and title."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.append("")
        self._open = True

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # as it is called
        self._open = False

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [
            (attributes, text) for (name, attributes), text in zip(self.tags, self.texts, strict=True) if name == tag
        ]


def a_file(**changed: Any) -> str:
    told: dict[str, Any] = {"title": HOSTILE, "show": "red-car-4k7q/1", "lead": [HOSTILE], "recorded": {}}
    return studio_page.file(**told | changed)


def block_of(html: str) -> Any:
    (text,) = [text for attributes, text in Seen(html).all("script") if attributes.get("id") == "kontext"]
    return json.loads(text)


def policy_of(html: str) -> str:
    (policy,) = [attributes["content"] for attributes, _ in Seen(html).all("meta") if "http-equiv" in attributes]
    assert policy is not None
    return policy


def in_policy(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def directives(policy: str) -> dict[str, str]:
    return dict(part.split(" ", 1) for part in policy.split("; "))


def test_the_built_file_has_the_parts_that_a_page_is_made_with() -> None:
    seen = Seen(built())
    assert (len(seen.all("script")), len(seen.all("style")), len(seen.all("title"))) == (1, 1, 1)
    assert "\r" not in built()
    # Such an attribute would be stopped by the policy, and be missed.
    wrong = [name for _, attributes in seen.tags for name in attributes if name == "style" or name.startswith("on")]
    assert wrong == []
    # Nothing of it comes from elsewhere.
    assert [attributes for _, attributes in seen.tags if "src" in attributes or "href" in attributes] == []


@pytest.mark.parametrize(
    "html",
    [
        "<script>1</script>",
        "<style>a</style>",
        "<script>1</script><style>a</style><script>2</script>",
        "<script>1</script><style>a</style><style>b</style>",
    ],
)
def test_a_built_file_of_other_parts_is_refused(html: str) -> None:
    with pytest.raises(ValueError, match="not one of each"):
        hashes(html)


def test_the_hash_is_of_what_stands_between_the_tags_whatever_it_looks_like() -> None:
    script, style = "\n if (a < b && '<style>' + \"&amp;\" + '<\\/script>') {}\n", "main > a::after { content: '<b>' }"
    html = f"<style crossorigin>{style}</style><p>x</p><script type=module crossorigin>{script}</script><p>y</p>"
    assert [f"'{each}'" for each in hashes(html)] == [in_policy(script), in_policy(style)]


def test_a_file_may_run_its_script_and_nothing_else() -> None:
    html = a_file()
    (script,) = [text for attributes, text in Seen(html).all("script") if attributes.get("id") is None]
    ((_, style),) = Seen(html).all("style")
    assert directives(policy_of(html)) == {
        "default-src": "'none'",
        "script-src": in_policy(script),
        "style-src": in_policy(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_a_files_policy_stands_before_what_it_governs_and_its_charset_where_browsers_look() -> None:
    html = a_file()
    places = [html.index(part) for part in ("<meta charset", "<meta http-equiv", "<script", "<style")]
    assert places[0] < places[1] < min(places[2:])
    assert places[0] < 1024


def test_the_gallery_may_also_ask_where_it_came_from_and_is_in_no_frame() -> None:
    page = gallery()
    of_file = directives(policy_of(a_file()))
    assert directives(page.policy) == of_file | {"connect-src": "'self'", "frame-ancestors": "'none'"}
    assert "http-equiv" not in page.html
    assert block_of(page.html) == {"kind": "gallery"}
    assert Seen(page.html).all("title") == [({}, "kontext gallery")]


def test_whatever_a_file_shows_stays_text() -> None:
    recorded = {f"kontext://jobs/{HOSTILE}": {"mimeType": "application/json", "text": HOSTILE}}
    html = a_file(recorded=recorded, tail={"heading": HOSTILE, "text": HOSTILE, "code": HOSTILE})
    assert block_of(html) == {
        "kind": "file",
        "show": "red-car-4k7q/1",
        "title": HOSTILE,
        "lead": [HOSTILE],
        "tail": {"heading": HOSTILE, "text": HOSTILE, "code": HOSTILE},
        "resources": recorded,
    }
    assert [tag for tag, _ in Seen(html).tags if tag == "script"] == ["script", "script"]
    (_, _, block), end = html.rpartition('id="kontext">'), "</script>"
    assert not set(block.partition(end)[0]) & {"<", ">", "&", "\u2028", "\u2029"}
    assert block.partition(end)[0].isascii()


def test_a_title_is_text_too() -> None:
    ((_, title),) = Seen(a_file(title="<b>&amp;</title>")).all("title")
    assert title == "<b>&amp;</title>"


def test_the_page_is_the_built_file_with_four_things_put_in() -> None:
    html = a_file(title="A title")
    html = html.replace("<title>A title</title>", "<title>Kontext studio</title>")
    for put_in in (
        r"\n<meta http-equiv=[^>]+>",
        r"\n<meta name=\"generator\"[^>]+>",
        r'<script [^>]*id="kontext">.*\n',
    ):
        html, count = re.subn(put_in, "", html)
        assert count == 1
    assert html == built()


def test_a_file_without_a_tail_has_none_and_says_what_made_it() -> None:
    assert block_of(studio_page.file(title="t", show="a-4k7q/1", recorded={})) == snapshot(
        {"kind": "file", "show": "a-4k7q/1", "title": "t", "lead": [], "resources": {}}
    )
    assert f'content="kontext {__version__}"' in a_file()

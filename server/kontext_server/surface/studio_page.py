"""Pages around the studio: the one built file, what it shall show, and the policy that lets it do nothing else.

What this is: `assets/studio.html` with a data block, by which the view knows that no host holds it, and a policy that
names its one script and its one style by their hashes. What it is not: the view (`server/studio`, TypeScript), the same
file in an MCP host, or what is served beside the page (`web.gallery`). Above: web.gallery, cli. Below: the built file.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from html.parser import HTMLParser
from importlib import resources
from typing import Any

from kontext_server import __version__

FILE = "studio.html"
BLOCK_ID = "kontext"
"""The id of the data block; the view looks for it."""
GALLERY_TITLE = "kontext gallery"

_CHARSET = '<meta charset="utf-8">'
_TITLE, _TITLE_END = "<title>", "</title>"
_BODY_END = "</body>"
_CLOSERS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page that is served.

    Attributes:
        html: whole.
        policy: the value of its `Content-Security-Policy` header.
    """

    html: str
    policy: str


def gallery() -> Page:
    """Give the page of the web gallery, which asks the place it came from for what it shows."""
    block = _block({"kind": "gallery"})
    html = _filled(built(), title=GALLERY_TITLE, head=(), block=block)
    return Page(html=html, policy=_policy(connect="'self'", more=("frame-ancestors 'none'",)))


def file(
    *,
    title: str,
    show: str,
    recorded: Mapping[str, Any],
    lead: Iterable[str] = (),
    tail: Mapping[str, str] | None = None,
) -> str:
    """Give a page as one file that holds all it shows: nothing is fetched.

    Args:
        title: of the page and of the document.
        show: the reference of the image that is shown first, such as `red-car-4k7q/1`.
        recorded: the resources by URI, each `{mimeType, text}` or `{mimeType, blob}`.
        lead: sentences before the pictures.
        tail: `{heading, text, code}` after them.
    """
    told: dict[str, Any] = {"kind": "file", "show": show, "title": title, "lead": list(lead)}
    if tail is not None:
        told["tail"] = dict(tail)
    # A policy in the document holds for what stands after it: before the script and the style.
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_policy())}">',
        f'<meta name="generator" content="kontext {escape(__version__)}">',
    )
    return _filled(built(), title=title, head=head, block=_block({**told, "resources": dict(recorded)}))


@cache
def built() -> str:
    """Give the built file as it is."""
    return (resources.files("kontext_server") / "assets" / FILE).read_text(encoding="utf-8")


def hashes(html: str) -> tuple[str, str]:
    """Give the hashes of a page's one script and one style, as a policy names them (CSP 3, section 6.7.3).

    Raises:
        ValueError: it has not one of each.
    """
    found = _Elements()
    found.feed(html)
    if (len(found.script), len(found.style)) != (1, 1):
        raise ValueError(f"{FILE} has {len(found.script)} scripts and {len(found.style)} styles, not one of each")
    return _hash(found.script[0]), _hash(found.style[0])


class _Elements(HTMLParser):
    """The contents of all scripts and styles, unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[str] = []
        self.style: list[str] = []
        self._open: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # as it is called
        """Begin one."""
        if tag in ("script", "style"):
            self._open = self.script if tag == "script" else self.style
            self._open.append("")

    def handle_data(self, data: str) -> None:
        """Take its content, which may come in pieces."""
        if self._open is not None:
            self._open[-1] += data

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # as it is called
        """End one: neither holds other elements."""
        self._open = None


@cache
def _hashes_of_built() -> tuple[str, str]:
    return hashes(built())


def _policy(*, connect: str = "", more: Iterable[str] = ()) -> str:
    script, style = _hashes_of_built()
    connecting = [f"connect-src {connect}"] if connect else []
    sources = ["default-src 'none'", f"script-src '{script}'", f"style-src '{style}'", *connecting]
    return "; ".join([*sources, "base-uri 'none'", "form-action 'none'", *more])


def _block(data: Mapping[str, Any]) -> str:
    # Plain ASCII, and nothing in it that could end the element or begin a comment in it.
    text = json.dumps(data, separators=(",", ":")).translate(_CLOSERS)
    return f'<script type="application/json" id="{BLOCK_ID}">{text}</script>'


def _filled(html: str, *, title: str, head: Iterable[str], block: str) -> str:
    """Put the head's lines behind the charset, the title in its place, the block at the end of the body."""
    before, charset, rest = html.partition(_CHARSET)
    opening, start, behind = rest.partition(_TITLE)
    _, end, middle = behind.partition(_TITLE_END)
    body, closing, after = middle.rpartition(_BODY_END)
    assert charset and start and end and closing, f"{FILE} lacks a part"
    lines = "\n".join([charset, *head])
    return f"{before}{lines}{opening}{start}{escape(title)}{end}{body}{block}\n{closing}{after}"


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")

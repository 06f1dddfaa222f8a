"""What find_images and view_images say, and an image's lineage: text and structured content, each complete.

What this is: the shapes of CONTRACT.md section 2. What it is not: a job's answer (`answers`). Above: looking,
resources, cli. Below: answers (one image's facts), gallery's values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kontext_server.surface.answers import image_fields, image_words
from kontext_tools.finding import Search
from kontext_tools.fitting import QUALITIES, Fitted
from kontext_tools.gallery import Finds, Picture
from kontext_tools.lineage import Lineage, Relative
from kontext_tools.quoting import cut, quoted
from kontext_tools.references import Ref
from kontext_tools.stores.finds import ImageRow

_SHARED = {"images": "array", "warnings": "array", "error": "object", "next": "string"}
FINDS_FIELDS: Mapping[str, str] = {**_SHARED, "next_cursor": "string"}
VIEWS_FIELDS: Mapping[str, str] = _SHARED

PROMPT_CHARS = 500
"""Of a prompt in structured content: fifty of them stay small; get_status with detail=full tells it whole."""
LINE_PROMPT_CHARS = 60
LINE_LABEL_CHARS = 40
SEEN_AT_ONCE = 4

PlacesOfOne = Callable[[Ref, str], Mapping[str, str]]
"""`app.Places` of one owner."""


def finds_fields(search: Search, finds: Finds) -> dict[str, Any]:
    """Give what was found; `warnings` only where the search was not read as it was written."""
    more = {"next_cursor": finds.next_cursor} if finds.next_cursor else {}
    warnings = {"warnings": list(finds.told)} if finds.told else {}
    return {"images": [_found(row) for row in finds.rows], **more, **warnings, "next": _next(search, finds)}


def finds_text(search: Search, finds: Finds, link: str | None = None) -> str:
    """Give what was found as a line for each and two more; `link` opens the gallery, where there is one."""
    count = len(finds.rows)
    head = "No image found." if not count else f"{count} image{'s' if count > 1 else ''}, newest first."
    shown = () if link is None else (f"The person sees all in a browser, once, within 10 minutes, at {link}",)
    lines = [" ".join((head, *finds.told, *shown)), *(_line(row) for row in finds.rows)]
    return "\n".join([*lines, f"Next: {_next(search, finds)}"])


def views_fields(pictures: Sequence[Picture], fitted: Fitted, places: PlacesOfOne) -> dict[str, Any]:
    """Give what is shown."""
    return {
        "images": [image_fields(one.ref, one.facts, places(one.ref, one.blob)) for one in pictures],
        "warnings": _warnings(fitted),
        "next": _go_on(str(pictures[0].ref)),
    }


def views_text(pictures: Sequence[Picture], fitted: Fitted, places: PlacesOfOne) -> str:
    """Give what is shown as a line for each and two more."""
    count = len(pictures)
    head = f"{count} picture{'s, in this order' if count > 1 else ''}, longest side at most {fitted.longest_px} px."
    lines = [" ".join((head, *_warnings(fitted)))]
    lines += [image_words(one.ref, one.facts, places(one.ref, one.blob)) for one in pictures]
    return "\n".join([*lines, f"Next: {_go_on(str(pictures[0].ref))}"])


def lineage_fields(lineage: Lineage) -> dict[str, Any]:
    """Give an image's ancestors, from the source on, and its descendants, each after its parent."""
    return {
        "ref": str(lineage.ref),
        "uri": lineage.ref.uri,
        "ancestors": [_relative(one) for one in lineage.ancestors],
        "descendants": [_relative(one) for one in lineage.descendants],
        **({} if lineage.whole else {"more": True}),
    }


def _found(row: ImageRow) -> dict[str, Any]:
    facts = {
        "ref": str(row.ref),
        "uri": row.ref.uri,
        "label": row.label,
        "prompt": prompt_of(row.prompt),
        "created_at": row.created_at.isoformat(timespec="seconds"),
        "provider": row.provider,
        "width": row.output.facts.width,
        "height": row.output.facts.height,
        "parent": row.parent,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _line(row: ImageRow) -> str:
    facts = row.output.facts
    words = [f"{row.ref}: {quoted(row.prompt, LINE_PROMPT_CHARS)}"]
    words += [f"label {quoted(row.label, LINE_LABEL_CHARS)}"] if row.label else []
    words += [row.created_at.isoformat(timespec="seconds"), row.provider, f"{facts.width}x{facts.height}"]
    words += [f"parent {row.parent}"] if row.parent else []
    return ", ".join(words)


def _next(search: Search, finds: Finds) -> str:
    if finds.rows:
        refs = [str(row.ref) for row in finds.rows[:SEEN_AT_ONCE]]
        seen = f"{_go_on(refs[0])[:-1]}; to see them, view_images(refs={refs})"
        if finds.next_cursor is None:
            return f"{seen}."
        return f"{seen}; for more, find_images({_given(search)}cursor='{finds.next_cursor}')."
    if search == Search():
        return "Call edit_image or generate_image to make one."
    if not search.query.strip() and not search.since:
        return f"Nothing was made from it yet: call edit_image(image='{search.derived_from}', prompt='…')."
    less = [name for name, text in (("other words", search.query), ("an earlier since", search.since)) if text.strip()]
    if search.derived_from:
        less.append("no derived_from")
    return f"Call find_images() for the newest, or find_images with {' or '.join(less)}."


def _given(search: Search) -> str:
    """Give a search's arguments as they were written, for the next page's call."""
    texts = {"query": search.query, "since": search.since, "derived_from": search.derived_from}
    return "".join(f"{name}={text!r}, " for name, text in texts.items() if text)


def _go_on(ref: str) -> str:
    return f"To go on from one, call edit_image(image='{ref}', prompt='…')."


def _warnings(fitted: Fitted) -> list[str]:
    if fitted.quality == QUALITIES[0]:
        return []
    return [f"Shown at JPEG quality {fitted.quality}, to fit the answer; the files are as delivered."]


def _relative(one: Relative) -> dict[str, Any]:
    facts = {
        "ref": str(one.ref),
        "uri": one.ref.uri,
        "prompt": prompt_of(one.prompt) or None,
        "created_at": one.created_at.isoformat(timespec="seconds"),
        "parent": one.parent,
    }
    return {name: value for name, value in facts.items() if value is not None}


def prompt_of(text: str) -> str:
    """Give a prompt as a list tells it."""
    return cut(text, PROMPT_CHARS)

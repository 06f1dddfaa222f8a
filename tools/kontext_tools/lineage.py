"""Where an image comes from and what became of it, from rows that know their parents; pure.

What it is not: the look-up of those rows (`stores`) or their form as a resource (`kontext_server.surface`). Above:
gallery. Below: stores.finds, references.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from kontext_tools.references import Ref
from kontext_tools.stores.finds import ImageRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """One image of a lineage; a source (`n` 0) has neither prompt nor parent."""

    ref: Ref
    prompt: str
    created_at: datetime
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """An image's relatives.

    Attributes:
        ref: the image.
        ancestors: from the source on, the image's own parent last.
        descendants: each after its parent, generation by generation, the oldest first.
        whole: whether these are all; false where there are more than so many.
    """

    ref: Ref
    ancestors: tuple[Relative, ...]
    descendants: tuple[Relative, ...]
    whole: bool


def trace(ref: Ref, parent: str | None, rows: Iterable[ImageRow], *, most: int) -> Lineage:
    """Order the relatives of an image. A circle in the rows ends where it closes.

    Args:
        ref: the image; `n` 0 is its job's source.
        parent: of its job, where that started from an earlier result.
        rows: its relatives and perhaps others, in any order.
        most: at most so many on each side.
    """
    known = {str(row.ref): row for row in rows}
    line = _line(parent, known, most + 1)
    # The source of a job is the earlier result that it was made from, where it is one: the same picture.
    origin = parent if ref.n == 0 and parent is not None else str(ref)
    born = _born(origin, known, most + 1)
    return Lineage(
        ref=ref,
        ancestors=tuple(reversed(line[:most])),
        descendants=tuple(born[:most]),
        whole=len(line) <= most and len(born) <= most,
    )


def rooted(lineage: Lineage, source: Relative) -> Lineage:
    """Put the source that the first of the line was made from before it."""
    first, *others = lineage.ancestors or (None,)
    line = () if first is None else (replace(first, parent=str(source.ref)), *others)
    return replace(lineage, ancestors=(source, *line))


def _line(parent: str | None, known: dict[str, ImageRow], most: int) -> list[Relative]:
    found = dict[str, Relative]()
    while parent is not None and parent in known and parent not in found and len(found) < most:
        row = known[parent]
        found[parent] = _relative(row, row.parent)
        parent = row.parent
    return list(found.values())


def _born(origin: str, known: dict[str, ImageRow], most: int) -> list[Relative]:
    children = dict[str, list[ImageRow]]()
    for row in sorted(known.values(), key=lambda row: (row.created_at, row.job_id, row.output.n)):
        above = f"{row.job_id}/0" if row.parent is None else row.parent
        children.setdefault(above, []).append(row)
    found, generation = dict[str, Relative](), [origin]
    while generation and len(found) < most:
        born = [(row, above) for above in generation for row in children.get(above, ()) if str(row.ref) != origin]
        new = [(row, above) for row, above in born if str(row.ref) not in found]
        found |= {str(row.ref): _relative(row, above) for row, above in new}
        generation = [str(row.ref) for row, _ in new]
    return list(found.values())[:most]


def _relative(row: ImageRow, parent: str | None) -> Relative:
    return Relative(ref=row.ref, prompt=row.prompt, created_at=row.created_at, parent=parent)

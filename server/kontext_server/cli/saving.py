"""Files where a person wants them, such as `-o FILE`: nothing is overwritten unasked.

What this is: the names (`cat.png`, `cat-2.png` …), the refusal before anything is done, the copy of results, a page
written whole. What it is not: where results are kept (`kontext_tools.blobs`). Above: making, export, demo. Below:
disk, errors.
"""

from __future__ import annotations

import io
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from kontext_tools import disk
from kontext_tools.errors import InvalidArgument

FORMAT_OF_SUFFIX = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}


def targets(output: Path, count: int) -> list[Path]:
    """Give the names of `count` results: the first as asked, the others with their number."""
    return [output, *(output.with_name(f"{output.stem}-{n}{output.suffix}") for n in range(2, count + 1))]


def check(
    output: Path,
    count: int,
    *,
    force: bool,
    field: str = "output",
    what: str = "nothing was sent",
    example: str = "result.png",
) -> None:
    """Refuse, before anything is done, a place that results cannot be written to.

    Args:
        output: where.
        count: how many results.
        force: whether files there are replaced.
        field: the argument that names the place.
        what: what a refusal says of that which was not done.
        example: a name for one who named a folder.

    Raises:
        InvalidArgument: its folder is missing, it is a folder, or a file lies there and nobody said `--force`.
    """

    def refused(why: str, fix: str) -> InvalidArgument:
        return InvalidArgument(f"{why}; {what}.", fix=fix, field=field)

    if not output.parent.is_dir():
        raise refused("The folder of that file does not exist", f"Make {output.parent} first, or name another file.")
    for target in targets(output, count):
        if target.is_dir():
            raise refused("That is a folder", f"Name a file in it, such as {target / example}.")
        if target.exists() and not force:
            raise refused("That file exists and is not overwritten", "Name another file, or add --force.")


def copy(results: Sequence[bytes], output: Path, *, force: bool) -> list[Path]:
    """Write the results' bytes; give where they lie now. Raises OSError where one cannot be written."""
    places = targets(output, len(results))
    for result, place in zip(results, places, strict=True):
        if force:
            _replace(result, place)
        else:
            _create(result, place)
    return places


def write(text: str, place: Path, *, force: bool) -> None:
    """Write a text whole or not at all. Raises OSError where it cannot be, or a file came there meanwhile."""
    temporary = _beside(place)
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        if not force:
            # The name is taken first, so that no file of another's is replaced.
            place.open("xb").close()
        disk.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def _create(result: bytes, place: Path) -> None:
    """Write a file that must not be there yet; one that could not be finished is taken away."""
    target = place.open("xb")
    try:
        with target:
            shutil.copyfileobj(io.BytesIO(result), target)
    except OSError:
        place.unlink()  # closed by now: Windows removes no open file
        raise


def _replace(result: bytes, place: Path) -> None:
    """Put a whole new file in an old one's place, or leave the old one as it is."""
    temporary = _beside(place)
    try:
        _create(result, temporary)
        disk.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")

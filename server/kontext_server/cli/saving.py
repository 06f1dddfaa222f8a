"""`-o FILE`: results copied to where a person wants them; nothing is overwritten unasked.

What this is: the names (`cat.png`, `cat-2.png` …), the refusal before anything is paid, and the copy. What it is not:
where results are kept (`kontext_tools.blobs`). Above: making. Below: errors.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from kontext_tools.errors import InvalidArgument

FORMAT_OF_SUFFIX = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}


def targets(output: Path, count: int) -> list[Path]:
    """Give the names of `count` results: the first as asked, the others with their number."""
    return [output, *(output.with_name(f"{output.stem}-{n}{output.suffix}") for n in range(2, count + 1))]


def check(output: Path, count: int, *, force: bool) -> None:
    """Refuse, before anything is sent, a place that results cannot be copied to.

    Raises:
        InvalidArgument: its folder is missing, it is a folder, or a file lies there and nobody said `--force`.
    """
    if not output.parent.is_dir():
        raise _refused("The folder of that file does not exist", f"Make {output.parent} first, or name another file.")
    for target in targets(output, count):
        if target.is_dir():
            raise _refused("That is a folder", f"Name a file in it, such as {target / 'result.png'}.")
        if target.exists() and not force:
            raise _refused("That file exists and is not overwritten", "Name another file, or add --force.")


def copy(results: Sequence[Path], output: Path, *, force: bool) -> list[Path]:
    """Copy the results; give where they lie now. Raises OSError where one cannot be written."""
    places = targets(output, len(results))
    for result, place in zip(results, places, strict=True):
        if force:
            _replace(result, place)
        else:
            _create(result, place)
    return places


def _create(result: Path, place: Path) -> None:
    """Write a file that must not be there yet; one that could not be finished is taken away."""
    with result.open("rb") as source, place.open("xb") as target:
        try:
            shutil.copyfileobj(source, target)
        except OSError:
            place.unlink()
            raise


def _replace(result: Path, place: Path) -> None:
    """Put a whole new file in an old one's place, or leave the old one as it is."""
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        _create(result, temporary)
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _refused(what: str, fix: str) -> InvalidArgument:
    return InvalidArgument(f"{what}; nothing was sent.", fix=fix, field="output")

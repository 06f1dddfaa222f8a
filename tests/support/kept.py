"""Texts that are kept in a file each, so that a change to what a model reads shows in a diff.

`KONTEXT_KEPT=write .venv/bin/pytest tests/server/surface` accepts what has changed; read the diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "kept"


def is_as_kept(name: str, value: Any) -> bool:
    """Whether a value is what its file holds; a text as it stands, anything else as JSON. Writes it where told to."""
    text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    path = FOLDER / name
    if os.environ.get("KONTEXT_KEPT") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} changed: KONTEXT_KEPT=write accepts it"
    return True


def names_in(folder: str) -> set[str]:
    """Give the names of a folder's files, without their endings."""
    return {path.stem for path in (FOLDER / folder).iterdir()}

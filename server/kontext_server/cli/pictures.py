"""What a person may name as a picture, made into what the studio reads.

What this is: relative paths made absolute; references and addresses pass. What it is not: a judgement whether it may be
read (`kontext_tools.sources`). Above: edit, plan_file. Below: references.
"""

from __future__ import annotations

import re
from pathlib import Path

from kontext_tools.references import parse_ref

_ADDRESS = re.compile(r"(?i)(?:data:|file:|[a-z][a-z0-9+.-]*://)")
_LIKE_A_REF = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+(?:/\d+)?")


def as_named(text: str, folder: Path | None = None) -> str:
    """Give a picture's name in full: an absolute path, a reference, or an address.

    A file wins over what only looks like a reference; what is one stays one (`./` names the file).

    Args:
        text: as a person wrote it.
        folder: what a relative path is relative to; the working directory where none is given.
    """
    bare = text.strip()
    if not bare or bare.startswith("~") or _ADDRESS.match(bare) or parse_ref(bare) is not None:
        return text
    path = Path(text)
    if not path.is_absolute():
        here = (folder or Path.cwd()) / path
        if _LIKE_A_REF.fullmatch(bare) and not here.exists():
            return text  # a mistyped reference is taught the nearest ones
        path = here
    return str(path.resolve() if ".." in path.parts else path)

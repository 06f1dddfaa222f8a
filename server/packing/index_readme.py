"""The README as a package index shows it: no link and no picture that only leads somewhere in the repository.

What this is: hatchling's metadata hook, run at each build. What it is not: another README; every word is the
repository's own. An index resolves a relative address against itself, where nothing lies, and where the repository can
be read is not known here: so pictures go, and of a link its words stay.
Above: pyproject.toml. Below: nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_ELSEWHERE = r"(?![a-z][a-z0-9+.-]*:|#)"
_PICTURE = re.compile(r"<picture>.*?</picture>\n*|<img [^>]*>|!\[[^]]*\]\([^)]*\)", re.DOTALL)
_LINK = re.compile(rf"\[([^]]+)\]\({_ELSEWHERE}[^)]*\)")


def for_index(text: str) -> str:
    """Give Markdown without its pictures, and with the bare words of each relative link."""
    return _LINK.sub(r"\1", _PICTURE.sub("", text))


class IndexReadme(MetadataHookInterface):
    """Gives the built package its long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme` of the project's metadata."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_index(text)}

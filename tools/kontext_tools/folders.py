"""Folders that only their owner may enter. Above: stores, blobs. Below: nothing."""

from __future__ import annotations

from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder and every missing one above it, each 0700 (`mkdir -p` would leave the upper ones open)."""
    missing = [folder, *(above for above in folder.parents if not above.exists())]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)

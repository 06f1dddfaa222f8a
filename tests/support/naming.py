"""A model names a file to a real server: the folder it may name, what lies beside, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mcp.client import Client

from kontext_server.simulator.serve import Running
from support import hostile
from support.stdio_server import call, fields_of, text_of

SECRET = "ROOT-ONLY-MARKER-51c9"


def allowed_folder(place: Path) -> Path:
    """Make the one allowed folder, with a picture in it; beside it what must never be read."""
    for name in ("pictures", "pictures-evil", "outside"):
        (place / name).mkdir()
        (place / name / f"{SECRET if name != 'pictures' else 'cat'}.png").write_bytes(hostile.plain())
    (place / "outside" / "secret.txt").write_text(SECRET, encoding="utf-8")
    return place / "pictures"


def given(simulator: Running, folder: Path, **more: str) -> dict[str, str]:
    """Give a server's settings."""
    return simulator.settings | {"KONTEXT_IMAGE_ROOTS": str(folder)} | more


async def asked(client: Client, image: str, prompt: str = "Make it red", **more: Any) -> tuple[str, str]:
    """Give an edit's error code, empty for none, and all that it said; nothing is waited for."""
    result = await call(client, "edit_image", image=image, prompt=prompt, wait_seconds=0, **more)
    assert SECRET not in text_of(result) + str(fields_of(result)) or SECRET in image
    return fields_of(result).get("error", {}).get("code", ""), text_of(result)


def sent_nothing(simulator: Running) -> bool:
    """Whether no request came at all."""
    return not simulator.state.journal.entries() and not any(simulator.state.counter()["creates"].values())

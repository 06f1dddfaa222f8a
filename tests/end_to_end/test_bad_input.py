"""Bad input: each is a taught refusal, nothing is sent, nothing charged, the server lives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

from kontext_server.simulator.serve import Running
from support.stdio_server import PHOTOS, call, connected, fields_of, text_of

pytestmark = pytest.mark.anyio

JOB_SECONDS = 0.2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    allowed = tmp_path / "pictures"
    allowed.mkdir()
    (allowed / "cat.png").write_bytes((PHOTOS / "chelsea.png").read_bytes())
    (allowed / ".hidden.png").write_bytes((PHOTOS / "chelsea.png").read_bytes())
    (allowed / "notes.png").write_text("not a picture at all", encoding="utf-8")
    with (allowed / "huge.png").open("wb") as huge:
        huge.write(b"\x89PNG\r\n\x1a\n")
        os.truncate(huge.fileno(), 60_000_000)
    Image.new("1", (13_000, 13_000)).save(allowed / "bomb.png")
    return allowed


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no image": ({"image": None}, "invalid_argument", "image"),
    "a missing path": ({"image": "{folder}/cta.png"}, "source_unreadable", "cat.png"),
    "a hidden file": ({"image": "{folder}/.hidden.png"}, "source_not_allowed", "{folder}"),
    "a text file named .png": ({"image": "{folder}/notes.png"}, "source_unreadable", "PNG"),
    "a 60 MB file": ({"image": "{folder}/huge.png"}, "source_too_large", "50 MB"),
    "a 13000 x 13000 PNG": ({"image": "{folder}/bomb.png"}, "source_too_large", "50 megapixels"),
    "an unknown reference": ({"image": "{earlier}x/1"}, "unknown_ref", "{earlier}/1"),
    "an empty prompt": ({"prompt": "  "}, "invalid_argument", "prompt"),
    "a ratio of 7:3": ({"aspect_ratio": "7:3"}, "invalid_argument", "21:9"),
    "a safety tolerance of 5 with an image": ({"safety_tolerance": 5}, "unsupported_by_provider", "safety_tolerance=2"),
    "a file outside": ({"image": "/etc/passwd"}, "source_not_allowed", "{folder}"),
    "a relative path": ({"image": "cat.png"}, "source_not_allowed", "{folder}"),
    "plain http": ({"image": "http://example.com/cat.png"}, "source_not_allowed", "{folder}"),
    "a loopback address": ({"image": "https://127.0.0.1/cat.png"}, "source_not_allowed", "public"),
    "a provider without key": ({"provider": "fal"}, "not_configured", "FAL_KEY"),
    "a guidance scale that none takes": ({"guidance_scale": 3}, "unsupported_by_provider", "without guidance_scale"),
    "a misspelled name": ({"aspect": "1:1"}, "invalid_argument", "aspect_ratio"),
    "five images": ({"num_images": 5}, "invalid_argument", "num_images=4"),
}


async def test_each_bad_input_is_a_taught_refusal_that_sends_and_charges_nothing(
    tmp_path: Path, folder: Path, simulator: Running
) -> None:
    settings = simulator.settings | {"KONTEXT_IMAGE_ROOTS": str(folder)}
    good = {"image": str(folder / "cat.png"), "prompt": "Make it sepia"}
    failures: list[str] = []
    with anyio.fail_after(120):
        async with connected(tmp_path, settings) as client:
            earlier = fields_of(await call(client, "edit_image", **good))
            before = simulator.state.counter(), len(simulator.state.journal.entries())
            for name, (change, code, taught) in CASES.items():
                words = {"folder": str(folder), "earlier": earlier["job_id"]}
                arguments = good | {
                    key: value.format(**words) if isinstance(value, str) else value for key, value in change.items()
                }
                result = await call(client, "edit_image", **arguments)
                error = fields_of(result).get("error", {})
                seen = (result.is_error, error.get("code"), error.get("billed"))
                if seen != (True, code, "no") or taught.format(**words) not in text_of(result):
                    failures.append(f"{name}: {seen} {text_of(result)}")
                if len(text_of(result).splitlines()) > 3:
                    failures.append(f"{name}: more than three lines")
            after = simulator.state.counter(), len(simulator.state.journal.entries())
            alive = fields_of(await call(client, "edit_image", **(good | {"prompt": "Mirror it"})))
    assert failures == []
    assert before == after
    assert alive["status"] == "completed"


async def test_a_secret_outside_the_folders_reads_the_same_whether_it_exists_or_not(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes((PHOTOS / "chelsea.png").read_bytes())
    with anyio.fail_after(30):
        async with connected(tmp_path) as client:
            answers = [
                text_of(await call(client, "edit_image", image=str(tmp_path / name), prompt="Make it sepia"))
                for name in ("secret.png", "absent.png")
            ]
    assert answers[0] == answers[1]

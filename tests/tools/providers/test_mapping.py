"""WIRE.md D3 and D4 over the seven hosts: each parameter goes out as the host names it, or is refused before."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kontext_server.adapters import configured
from kontext_server.settings import load
from kontext_server.simulator.serve import Running
from kontext_tools.edits import Edit
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.providers.base import Attachment, Order, Provider
from support.orders import intent

pytestmark = pytest.mark.anyio

HOSTS = ("core.today", "kkiai", "runflow", "eachlabs", "replicate", "bfl", "fal")
ADDRESS = "https://pictures.invalid/cat.png"
REFUSED = object()
OMITTED = object()

Row = Mapping[str, Any]
"""What stands on a host's wire: `{field: value}`, REFUSED, or `{field: OMITTED}`."""


def _all(name: str, value: Any, **others: Any) -> dict[str, Any]:
    """The same field and value at every host but those named; their dots are written as underscores."""
    named = {host.replace("core_today", "core.today"): row for host, row in others.items()}
    return {host: named.get(host, {name: value}) for host in HOSTS}


def _ratio(value: str, *refused: str) -> dict[str, Any]:
    return {host: REFUSED if host in refused else {"aspect_ratio": value} for host in HOSTS}


_NO_RATIO = {"aspect_ratio": OMITTED}
_JPEG = {"output_format": "jpeg"}

ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "prompt": ({}, _all("prompt", "Make it red")),
    **{f"ratio {value}": ({"aspect_ratio": value}, _ratio(value)) for value in ("1:1", "16:9", "9:16", "4:3", "3:4")},
    **{f"ratio {value}": ({"aspect_ratio": value}, _ratio(value)) for value in ("3:2", "2:3", "21:9", "9:21")},
    **{
        f"ratio {value}": ({"aspect_ratio": value}, _ratio(value, "runflow", "fal"))
        for value in ("4:5", "5:4", "2:1", "1:2")
    },
    "match input": (
        {"aspect_ratio": "match_input_image"},
        _all("aspect_ratio", "match_input_image", runflow=_NO_RATIO, bfl=_NO_RATIO, fal=_NO_RATIO),
    ),
    "jpg": (
        {"output_format": "jpg"},
        _all("output_format", "jpg", runflow=_JPEG, bfl=_JPEG, fal=_JPEG, eachlabs=REFUSED),
    ),
    "png": ({"output_format": "png"}, _all("output_format", "png", eachlabs={"output_format": OMITTED})),
    "seed 7": ({"seed": 7}, _all("seed", 7)),
    "seed 0": ({"seed": 0}, _all("seed", 0, eachlabs=REFUSED)),
    "safety 2": (
        {"safety_tolerance": 2},
        _all("safety_tolerance", 2, runflow={"safety_tolerance": "2"}, fal={"safety_tolerance": "2"}),
    ),
    "safety 5 with an image": (
        {"safety_tolerance": 5},
        {host: {"safety_tolerance": value} for host, value in {"runflow": "5", "fal": "5", "bfl": 5}.items()}
        | dict.fromkeys(("core.today", "kkiai", "replicate", "eachlabs"), REFUSED),
    ),
    "safety 0 would be loosened": (
        {"safety_tolerance": 0},
        _all("safety_tolerance", 0, runflow=REFUSED, fal=REFUSED),
    ),
    "upsampling": (
        {"prompt_upsampling": True},
        _all(
            "prompt_upsampling",
            True,
            runflow={"enhance_prompt": True},
            fal={"enhance_prompt": True},
            eachlabs=REFUSED,
        ),
    ),
    "guidance": (
        {"guidance_scale": 5.0},
        {host: {"guidance_scale": 5.0} if host in ("runflow", "fal") else REFUSED for host in HOSTS},
    ),
    "image": (
        {},
        _all(
            "input_image",
            ADDRESS,
            runflow={"image_url": ADDRESS},
            fal={"image_url": ADDRESS},
        ),
    ),
}


@asynccontextmanager
async def _adapter(folder: Path, simulator: Running, host: str) -> AsyncGenerator[Provider]:
    settings = load(**{name.lower(): value for name, value in simulator.settings_of(host).items()})
    http = Http(guard=Guard(trusted=settings.base_urls))
    try:
        yield configured(settings, http, folder)[host]
    finally:
        await http.aclose()


async def _on_the_wire(folder: Path, simulator: Running, host: str, edit: Edit) -> dict[str, Any] | None:
    """Give what stood in the create's input, or `None` where the offer refused it."""
    image = None if edit.image is None else Attachment(url=edit.image)
    async with _adapter(folder, simulator, host) as provider:
        if provider.offer.refusals(edit):
            return None
        ((seed, count), *_) = provider.offer.seeds(edit)
        await provider.submit(
            Order(key="a-b-c4k7q:1", edit=edit, prompt=edit.prompt, seed=seed, count=count, image=image), intent
        )
    bodies = [entry.json for entry in simulator.state.journal.entries() if entry.method == "POST"]
    body: dict[str, Any] = bodies[-1]
    inner: dict[str, Any] = body.get("input", body)
    return inner


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("row", ROWS)
async def test_a_parameter_goes_out_as_the_host_names_it_or_is_refused_before(
    tmp_path: Path, simulator: Running, row: str, host: str
) -> None:
    asked, expected = ROWS[row]
    edit = Edit(prompt="Make it red", image=ADDRESS, given=frozenset(asked), **asked)
    sent = await _on_the_wire(tmp_path, simulator, host, edit)
    wanted = expected[host]
    if wanted is REFUSED:
        assert sent is None
        return
    assert sent is not None
    for name, value in wanted.items():
        if value is OMITTED:
            assert name not in sent
        else:
            assert (sent[name], type(sent[name])) == (value, type(value)), json.dumps(sent)


@pytest.mark.parametrize("host", HOSTS)
async def test_several_images_are_one_request_or_one_each_with_seeds_that_follow(
    tmp_path: Path, simulator: Running, host: str
) -> None:
    edit = Edit(prompt="Make it red", image=ADDRESS, num_images=3, seed=5, given=frozenset({"num_images", "seed"}))
    async with _adapter(tmp_path, simulator, host) as provider:
        sends = provider.offer.seeds(edit)
    assert sends == ([(5, 3)] if host in ("runflow", "fal") else [(5, 1), (6, 1), (7, 1)])
    sent = await _on_the_wire(tmp_path, simulator, host, edit)
    assert sent is not None
    assert sent.get("num_images") == (3 if host in ("runflow", "fal") else None)


@pytest.mark.parametrize("host", HOSTS)
async def test_words_alone_are_taken_or_refused_before(tmp_path: Path, simulator: Running, host: str) -> None:
    edit = Edit(prompt="A red lake", aspect_ratio="1:1")
    sent = await _on_the_wire(tmp_path, simulator, host, edit)
    assert (sent is None) == (host in ("runflow", "eachlabs"))


@pytest.mark.parametrize("host", HOSTS)
async def test_what_is_not_set_is_never_refused(tmp_path: Path, simulator: Running, host: str) -> None:
    """WIRE.md D4: defaults are never "set"."""
    async with _adapter(tmp_path, simulator, host) as provider:
        assert provider.offer.refusals(Edit(prompt="Make it red", image=ADDRESS)) == ()


def test_every_row_covers_every_host() -> None:
    check: Callable[[dict[str, Any]], bool] = lambda expected: set(expected) == set(HOSTS)  # noqa: E731  # one line
    assert all(check(expected) for _, expected in ROWS.values())

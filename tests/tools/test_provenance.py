"""The facts that lie beside each kept result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_tools import provenance
from kontext_tools.blobs import keys
from kontext_tools.edits import Edit
from kontext_tools.errors import SourceNotAllowed
from kontext_tools.guard import Guard
from kontext_tools.jobs import Job, SendState
from kontext_tools.providers.base import Phase, RemoteOutput, Snapshot
from kontext_tools.views import Call, View
from support.fake_clock import START
from support.rows import a_job, an_output
from support.scripted import OFFER, Scripted
from support.scripted_host import Says, scripted
from support.workshop import OWNER, Workshop, output, png, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED)


def _beside(folder: Path, job: Job, n: int = 1) -> dict[str, Any]:
    path = folder / keys.facts(job.id, n)
    assert path.stat().st_mode & 0o777 == 0o600
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    named = (facts["ref"], facts["uri"], facts["sha256"])
    assert named == (f"{job.id}/{n}", f"kontext://images/{job.id}/{n}", job.outputs[n - 1].facts.sha256)
    return {name: value for name, value in facts.items() if name not in ("ref", "uri", "sha256", "kept_at")}


async def _edited(shop: Workshop, edit: Edit) -> Job:
    view = await shop.studio.edit_image(edit, Call(owner=OWNER))
    assert isinstance(view, View)
    return await shop.until(view.job.id, *ENDED)


async def test_a_generation_tells_what_was_asked_and_what_came(tmp_path: Path) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[done])) as shop:
            job = await shop.until((await shop.generate(seed=7)).job.id, *ENDED)
    assert _beside(tmp_path, job) == snapshot(
        {
            "tool": "generate_image",
            "prompt": "a red car",
            "num_images": 1,
            "aspect_ratio": "1:1",
            "output_format": "png",
            "safety_tolerance": 2,
            "prompt_upsampling": False,
            "sent_prompt": "a red car",
            "seed": 7,
            "provider": "core.today",
            "model": "black-forest-labs/flux-kontext-pro",
            "created_at": "2026-11-20T12:00:00+00:00",
            "width": 64,
            "height": 48,
            "media_type": "image/png",
            "bytes": 136,
            "depth": 0,
            "cost": {"amount": "120", "unit": "credit", "basis": "list_price"},
            "digital_source_type": "trainedAlgorithmicMedia",
        }
    )


async def test_an_edit_tells_its_source_by_its_hash_and_what_was_changed(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(png())
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    edit = Edit(prompt="Make the cat red", keep="the sofa", label="Cat", image=str(tmp_path / "cat.png"))
    with anyio.fail_after(20):
        async with workshop(tmp_path / "data", Scripted(creates=[done])) as shop:
            first = await _edited(shop, edit)
            second = await _edited(shop, replace(edit, image=f"{first.id}/1", keep="", label=""))
    assert first.source is not None and first.source.facts is not None
    told = _beside(tmp_path / "data", first)
    assert told.pop("source_sha256") == first.source.facts.sha256
    assert told == snapshot(
        {
            "tool": "edit_image",
            "prompt": "Make the cat red",
            "keep": "the sofa",
            "num_images": 1,
            "aspect_ratio": "match_input_image",
            "output_format": "png",
            "safety_tolerance": 2,
            "prompt_upsampling": False,
            "sent_prompt": "Make the cat red. Keep the sofa exactly the same.",
            "label": "Cat",
            "provider": "core.today",
            "model": "black-forest-labs/flux-kontext-pro",
            "created_at": "2026-11-20T12:00:00+00:00",
            "width": 64,
            "height": 48,
            "media_type": "image/png",
            "bytes": 136,
            "depth": 1,
            "change": {"percent": 100.0, "where": "everywhere", "sharpness": 1.0},
            "cost": {"amount": "120", "unit": "credit", "basis": "list_price"},
            "digital_source_type": "compositeWithTrainedAlgorithmicMedia",
        }
    )
    again = _beside(tmp_path / "data", second)
    assert (again["parent"], again["depth"], again["source_sha256"]) == (
        f"{first.id}/1",
        2,
        first.outputs[0].facts.sha256,
    )


async def test_of_several_images_each_has_its_facts_and_the_cost_names_how_many_it_is_of(tmp_path: Path) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(), output("blue")))
    provider = Scripted(creates=[done], offer=replace(OFFER, images_per_send=4))
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            job = await shop.until((await shop.generate(num_images=2)).job.id, *ENDED)
    told = [_beside(tmp_path, job, n) for n in (1, 2)]
    assert [(facts["cost"]["amount"], facts["cost_is_of_images"]) for facts in told] == [("240", 2), ("240", 2)]


async def test_neither_an_address_nor_where_the_source_lay_is_told(tmp_path: Path) -> None:
    (tmp_path / "canary.png").write_bytes(png())
    async with scripted() as host:
        host.say(Says(body=png()))
        result = RemoteOutput(url=f"{host.base_url}/after.png?sig=canary")
        done = Snapshot(phase=Phase.DONE, remote_id="canary", outputs=(result,))
        guard = Guard(trusted=[host.base_url])
        with anyio.fail_after(20):
            async with workshop(tmp_path / "data", Scripted(creates=[done]), guard=guard) as shop:
                job = await _edited(shop, Edit(prompt="Make it red", image=str(tmp_path / "canary.png")))
    told = json.dumps(_beside(tmp_path / "data", job))
    assert not [secret for secret in ("canary", str(tmp_path), "127.0.0.1") if secret in told]


async def test_the_path_of_the_facts_is_not_read_as_the_picture_beside_them(tmp_path: Path) -> None:
    done = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
    with anyio.fail_after(20):
        async with workshop(tmp_path / "data", Scripted(creates=[done, done]), roots=[tmp_path / "mine"]) as shop:
            job = await shop.until((await shop.generate()).job.id, *ENDED)
            picture = tmp_path / "data" / job.outputs[0].blob
            edited = await _edited(shop, Edit(prompt="Make it blue", image=str(picture)))
            with pytest.raises(SourceNotAllowed):
                await _edited(shop, Edit(prompt="Make it blue", image=str(picture.with_suffix(".json"))))
    assert edited.source is not None and edited.source.parent == f"{job.id}/1"


def test_a_model_is_named_only_for_the_host_whose_it_is() -> None:
    job = a_job(provider="fal")
    others = replace(job.sends[0], provider="bfl")
    for send, model in ((job.sends[0], job.model), (others, None)):
        facts = json.loads(provenance.facts(job, send, an_output(), source=None, change=None, kept_at=START))
        assert (facts["provider"], facts.get("model")) == (send.provider, model)

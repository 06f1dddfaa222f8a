"""The picture as it goes out: by address, as bytes, scaled to a host's limit, or by an earlier result's address."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from PIL import Image

from kontext_server.simulator.serve import Running
from kontext_server.surface import answers
from kontext_tools import images
from kontext_tools.edits import Edit
from kontext_tools.errors import UnsupportedByProvider
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.jobs import JobStatus, SendState
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.providers.core_today import CoreToday
from kontext_tools.references import Ref
from kontext_tools.scaling import scaled
from kontext_tools.views import Call, View
from support.bucket import Held, asked
from support.scripted import OFFER, Scripted
from support.workshop import OWNER, output, png, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
NO_UPLOAD = replace(OFFER, name="eachlabs", takes_bytes=False)


async def test_a_host_without_upload_refuses_a_local_file_and_names_who_takes_it(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(png())
    edit = Edit(prompt="Make it red", image=str(tmp_path / "cat.png"), provider="eachlabs")
    nowhere, elsewhere = Scripted(creates=[DONE], offer=NO_UPLOAD), Scripted(creates=[DONE])
    async with workshop(tmp_path, nowhere, elsewhere) as shop:
        with pytest.raises(UnsupportedByProvider) as refused:
            await shop.studio.edit_image(edit, Call(owner=OWNER))
    assert refused.value.failure.fix == (
        "Call again with a public https address of the image; or call again with provider='core.today', which takes it."
    )
    assert nowhere.creates == []


async def test_under_auto_the_first_that_the_picture_reaches_serves(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(png())
    nowhere, elsewhere = Scripted(creates=[DONE], offer=NO_UPLOAD), Scripted(creates=[DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, nowhere, elsewhere) as shop:
            view = await shop.studio.edit_image(
                Edit(prompt="Make it red", image=str(tmp_path / "cat.png")), Call(owner=OWNER)
            )
            assert isinstance(view, View)
            job = await shop.until(view.job.id, *ENDED)
    assert (job.provider, job.status) == ("core.today", JobStatus.COMPLETED)


async def test_an_earlier_results_own_address_serves_while_it_is_alive(tmp_path: Path, simulator: Running) -> None:
    """The first edit is made by a host that gives an address; the second goes to one that takes addresses only."""
    base_url = f"{simulator.base_url}/core.today/v1"
    guard, http = Guard(trusted=[base_url]), Http()
    maker = CoreToday(http, key="cdt_x", base_url=base_url)
    second = Scripted(creates=[DONE], offer=NO_UPLOAD)
    with anyio.fail_after(20):
        async with workshop(tmp_path, maker, second, guard=guard) as shop:
            made = await shop.until((await shop.generate()).job.id, *ENDED)
            edit = Edit(prompt="Make it red", image=f"{made.id}/1", provider="eachlabs")
            view = await shop.studio.edit_image(edit, Call(owner=OWNER))
            assert isinstance(view, View)
            await shop.until(view.job.id, *ENDED)
            simulator.state.script({"wire": "core.today", "on": "file", "fault": "expired", "times": "always"})
            with pytest.raises(UnsupportedByProvider):
                await shop.studio.edit_image(replace(edit, prompt="Make it blue"), Call(owner=OWNER))
    await http.aclose()
    assert second.creates[0].image is not None
    assert second.creates[0].image.url == made.outputs[0].remote_url


def _nowhere(_owner: str, _ref: Ref, _key: str) -> dict[str, str]:
    return {}


async def test_where_pictures_are_in_s3_a_presigned_address_reaches_a_host_without_upload(
    tmp_path: Path, held: Held
) -> None:
    (tmp_path / "cat.png").write_bytes(png())
    provider = Scripted(creates=[DONE], offer=NO_UPLOAD)
    edit = Edit(prompt="Make it red", image=str(tmp_path / "cat.png"), provider="eachlabs")
    guard = Guard(trusted=[held.base_url])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider, guard=guard, blobs=held.blobs(tmp_path)) as shop:
            view, again = [await shop.studio.edit_image(edit, Call(owner=OWNER)) for _ in range(2)]
            assert isinstance(view, View) and isinstance(again, View)
            await shop.until(view.job.id, *ENDED)
    image = provider.creates[0].image
    assert image is not None and image.url is not None and image.read is None
    fetched = await anyio.to_thread.run_sync(asked, "GET", image.url)
    assert images.read_facts(fetched) == image.facts
    assert (again.joined, again.job.id, len(provider.creates)) == (True, view.job.id, 1)
    assert "X-Amz-Signature" not in repr(answers.job_fields(view, _nowhere, full=True))


async def test_a_presigned_address_that_only_we_can_reach_is_not_given(tmp_path: Path, held: Held) -> None:
    (tmp_path / "cat.png").write_bytes(png())
    provider = Scripted(creates=[DONE], offer=NO_UPLOAD)
    edit = Edit(prompt="Make it red", image=str(tmp_path / "cat.png"), provider="eachlabs")
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider, blobs=held.blobs(tmp_path)) as shop:
            with pytest.raises(UnsupportedByProvider):
                await shop.studio.edit_image(edit, Call(owner=OWNER))
    assert provider.creates == []


async def test_a_source_over_the_hosts_limit_is_scaled_down_and_told(tmp_path: Path) -> None:
    (tmp_path / "wide.png").write_bytes(png(1000, 500))
    provider = Scripted(creates=[DONE], offer=replace(OFFER, max_input_px=400))
    sent: list[bytes] = []
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.studio.edit_image(
                Edit(prompt="Make it red", image=str(tmp_path / "wide.png")), Call(owner=OWNER)
            )
            assert isinstance(view, View)
            job = await shop.until(view.job.id, *ENDED)
            image = provider.creates[0].image
            assert image is not None
            assert image.read is not None
            sent.append(await image.read())
    assert image.facts is not None
    assert (image.facts.width, image.facts.height) == (400, 200)
    assert images.read_facts(sent[0]) == image.facts
    assert "The source was scaled down to core.today's limit (400 px a side)." in job.warnings


def test_a_picture_is_made_smaller_in_steps_until_its_bytes_fit() -> None:
    noisy = io.BytesIO()
    Image.effect_noise((600, 400), 90).convert("RGB").save(noisy, "PNG")
    data, facts = scaled(noisy.getvalue(), longest_px=None, most_bytes=100_000)
    assert len(data) == facts.size_bytes <= 100_000
    assert facts.media_type == "image/png"
    assert facts.width / facts.height == pytest.approx(1.5, rel=0.02)

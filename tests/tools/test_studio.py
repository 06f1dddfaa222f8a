"""The verbs: a straight line from an edit to a recorded job, its price, its joining and its refusals."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_tools.budget import Basis, Caps, Cost, Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import (
    BudgetExceeded,
    ConfirmationNeeded,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    ResultInvalid,
    SourceNotAllowed,
    SourceUnreadable,
    UnknownRef,
    UnsupportedByProvider,
)
from kontext_tools.guard import Guard
from kontext_tools.jobs import JobStatus, SendState, SourceKind
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.views import Call, Quote, View
from support.scripted import OFFER, Scripted, waiting
from support.workshop import OWNER, Workshop, output, png, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
TODAY = "2026-11-20"


def _provider(**facts: object) -> Scripted:
    return Scripted(creates=[DONE], looks=[DONE], offer=replace(OFFER, **facts))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "cat.png"
    path.write_bytes(png())
    return str(path)


async def _edited(shop: Workshop, image: str, prompt: str = "Make it red", **call: object) -> View | Quote:
    edit = Edit(prompt=prompt, image=image)
    return await shop.studio.edit_image(edit, Call(owner=OWNER, **call))  # pyright: ignore[reportArgumentType]


async def _completed(shop: Workshop, image: str, prompt: str = "Make it red") -> View:
    view = await _edited(shop, image, prompt)
    assert isinstance(view, View)
    await shop.until(view.job.id, *ENDED)
    return await shop.studio.get_status(view.job.id, Call(owner=OWNER))


async def test_an_edit_keeps_its_source_its_change_and_its_line(tmp_path: Path, photo: str) -> None:
    with anyio.fail_after(20):
        async with workshop(tmp_path, _provider()) as shop:
            first = await _completed(shop, photo)
            second = await _completed(shop, f"{first.job.id}/1", "Make it redder")
    assert first.job.source is not None
    assert (first.job.source.kind, first.job.depth) == (SourceKind.FILE, 1)
    assert first.job.change is not None
    assert first.job.change.percent == 100.0
    assert second.job.source is not None
    assert (second.job.source.parent, second.job.depth) == (f"{first.job.id}/1", 2)
    assert first.cost == Cost(amount=Decimal(120), unit=Unit.CREDIT, basis=Basis.LIST_PRICE)


async def test_from_the_fifth_edit_in_a_row_a_warning_is_told(tmp_path: Path, photo: str) -> None:
    with anyio.fail_after(30):
        async with workshop(tmp_path, _provider()) as shop:
            view = await _completed(shop, photo)
            for n in range(4):
                view = await _completed(shop, view.job.id, f"Make it red {n}")
    assert view.job.depth == 5
    assert any("edit 5 in a row" in warning for warning in view.job.warnings)


async def test_keep_is_composed_into_the_prompt_that_is_sent(tmp_path: Path) -> None:
    provider = _provider()
    edit = Edit(prompt="Make the car red", keep="the sky", aspect_ratio="1:1")
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            view = await shop.studio.generate_image(edit, Call(owner=OWNER))
            assert isinstance(view, View)
            await shop.until(view.job.id, *ENDED)
    assert provider.creates[0].prompt == "Make the car red. Keep the sky exactly the same."


async def test_the_same_request_key_gives_the_same_job_and_never_pays_twice(tmp_path: Path, photo: str) -> None:
    provider = _provider()
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            first = await _edited(shop, photo, request_key="k1")
            assert isinstance(first, View)
            await shop.until(first.job.id, *ENDED)
            Path(photo).unlink()
            again = await _edited(shop, photo, request_key="k1")
            with pytest.raises(IdempotencyConflict):
                await _edited(shop, photo, "Make it blue", request_key="k1")
    assert isinstance(again, View)
    assert (again.job.id, again.joined) == (first.job.id, True)
    assert len(provider.creates) == 1


async def test_twenty_identical_calls_at_once_make_one_job(tmp_path: Path, photo: str) -> None:
    provider = Scripted(creates=[waiting()], looks=[DONE])
    views: list[View | Quote] = []

    async def one() -> None:
        views.append(await _edited(shop, photo))

    with anyio.fail_after(30):
        async with workshop(tmp_path, provider) as shop:
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(one)
            ids = {view.job.id for view in views if isinstance(view, View)}
            for job_id in ids:
                await shop.until(job_id, *ENDED)
    assert len(ids) == 1
    assert len(provider.creates) == 1


async def test_a_delivered_result_is_not_reused(tmp_path: Path, photo: str) -> None:
    provider = _provider()
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            first = await _completed(shop, photo)
            second = await _completed(shop, photo)
    assert first.job.id != second.job.id
    assert len(provider.creates) == 2


async def test_a_cap_refuses_before_anything_is_sent_and_counts_what_is_reserved(tmp_path: Path) -> None:
    provider = Scripted(creates=[waiting()], looks=[waiting()])
    caps = Caps(daily={Unit.CREDIT: Decimal(300)}, per_call={Unit.CREDIT: Decimal(240)}, confirm_above={})
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider, caps=caps) as shop:
            await shop.generate("one")
            await shop.generate("two")
            with pytest.raises(BudgetExceeded, match="of today's 300 credit"):
                await shop.generate("three")
            with pytest.raises(BudgetExceeded, match="allowed for one"):
                await shop.generate("four", num_images=3)
            quote = shop.studio.generate_image(Edit(prompt="five", aspect_ratio="1:1"), Call(owner=OWNER, dry_run=True))
            with pytest.raises(BudgetExceeded):
                await quote
            spent = await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)
    assert spent == 240


async def test_a_dear_call_needs_a_persons_word(tmp_path: Path) -> None:
    caps = Caps(daily={}, per_call={}, confirm_above={Unit.CREDIT: Decimal(100)})
    async with workshop(tmp_path, _provider(), caps=caps) as shop:
        with pytest.raises(ConfirmationNeeded):
            await shop.generate()


async def test_a_dry_run_tells_price_and_what_is_left_and_makes_no_job(tmp_path: Path, photo: str) -> None:
    caps = Caps(daily={Unit.CREDIT: Decimal(300)}, per_call={}, confirm_above={})
    async with workshop(tmp_path, _provider(), caps=caps) as shop:
        quote = await _edited(shop, photo, dry_run=True, request_key="k")
        jobs = await shop.studio.jobs(OWNER, limit=10)
    assert quote == snapshot(
        Quote(
            provider="core.today",
            request={"prompt": "Make it red"},
            cost=Cost(amount=Decimal(120), unit=Unit.CREDIT, basis=Basis.LIST_PRICE),
            warnings=(),
            budget_left={Unit.CREDIT: Decimal(300)},
        )
    )
    assert jobs == []


async def test_each_refused_reference_names_one_that_works(tmp_path: Path, photo: str) -> None:
    with anyio.fail_after(20):
        async with workshop(tmp_path, _provider()) as shop:
            with pytest.raises(UnknownRef, match="No image has that reference"):
                await _edited(shop, "red-car-4k7q/1")
            view = await _completed(shop, photo)
            with pytest.raises(UnknownRef) as mistyped:
                await _edited(shop, view.job.id[:-1] + "/1")
            with pytest.raises(UnknownRef) as beyond:
                await _edited(shop, f"{view.job.id}/4")
            with pytest.raises(NotFound) as job:
                await shop.studio.get_status("red-car-4k7q", Call(owner=OWNER))
    for error in (mistyped, beyond):
        assert f"{view.job.id}/1" in error.value.failure.fix
    assert view.job.id in job.value.failure.fix


async def test_an_image_that_is_not_there_yet_names_the_call_that_waits_for_it(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[waiting()], looks=[waiting()])) as shop:
            view = await shop.generate()
            with pytest.raises(UnknownRef) as early:
                await _edited(shop, view.job.id)
    assert (
        early.value.failure.fix == f"Call get_status(job_id='{view.job.id}', wait_seconds=25) first, then call again."
    )


async def test_a_job_that_failed_has_no_image_to_edit(tmp_path: Path) -> None:
    failed = Snapshot(phase=Phase.FAILED, remote_id="r1")
    with anyio.fail_after(20):
        async with workshop(tmp_path, Scripted(creates=[failed])) as shop:
            view = await shop.generate()
            await shop.until(view.job.id, *ENDED)
            with pytest.raises(UnknownRef, match="ended without an image"):
                await _edited(shop, view.job.id)


async def test_another_owners_job_reads_as_absent(tmp_path: Path, photo: str) -> None:
    with anyio.fail_after(20):
        async with workshop(tmp_path, _provider()) as shop:
            view = await _completed(shop, photo)
            for job_id in (view.job.id, "red-car-4k7q"):
                with pytest.raises(NotFound, match="No job has that id"):
                    await shop.studio.get_status(job_id, Call(owner="bob"))
            with pytest.raises(UnknownRef):
                await shop.studio.image("bob", f"{view.job.id}/1")


async def test_an_empty_prompt_and_a_changed_result_are_refused(tmp_path: Path, photo: str) -> None:
    with anyio.fail_after(20):
        async with workshop(tmp_path, _provider()) as shop:
            with pytest.raises(InvalidArgument):
                await _edited(shop, photo, "  ")
            view = await _completed(shop, photo)
            (tmp_path / view.job.outputs[0].blob).unlink()
            with pytest.raises(ResultInvalid, match="removed since"):
                await _edited(shop, view.job.id)
            with pytest.raises(NotFound):
                await shop.studio.image(OWNER, "not a reference")


async def test_an_https_source_goes_out_as_it_stands_and_its_copy_is_fetched_meanwhile(tmp_path: Path) -> None:
    """The host is of a reserved name, so our own fetch fails: the job goes on, a warning says so."""
    provider = Scripted(creates=[waiting()], looks=[DONE])
    url = "https://pictures.invalid/cat.png?sig=1"
    with anyio.fail_after(30):
        async with workshop(tmp_path, provider) as shop:
            view = await _edited(shop, url)
            assert isinstance(view, View)
            job = await shop.until(view.job.id, *ENDED)
    assert provider.creates[0].image is not None
    assert provider.creates[0].image.url == url
    assert job.status is JobStatus.COMPLETED
    assert any("could not be fetched" in warning for warning in job.warnings)


async def test_a_private_https_address_is_refused_and_a_provider_of_bytes_needs_the_file_first(tmp_path: Path) -> None:
    async def inside(_: str, __: int) -> list[str]:
        return ["10.0.0.1"]

    bytes_only = _provider(takes_url=False)
    async with workshop(tmp_path, bytes_only, guard=Guard(resolver=inside)) as shop:
        with pytest.raises(SourceNotAllowed):
            await _edited(shop, "https://inside.example/cat.png")
    async with workshop(tmp_path, bytes_only) as shop:
        with pytest.raises((SourceUnreadable, SourceNotAllowed)):
            await _edited(shop, "https://pictures.invalid/cat.png")
    assert bytes_only.creates == []


async def test_what_the_provider_does_not_take_is_refused_with_what_it_takes(tmp_path: Path) -> None:
    async with workshop(tmp_path, _provider()) as shop:
        edit = Edit(prompt="a", aspect_ratio="1:1", guidance_scale=3.0, given=frozenset({"guidance_scale"}))
        with pytest.raises(UnsupportedByProvider) as refused:
            await shop.studio.generate_image(edit, Call(owner=OWNER))
    assert refused.value.failure.fix == "Call again without guidance_scale."


async def test_match_input_image_without_an_image_means_square_and_is_told(tmp_path: Path) -> None:
    provider = _provider()
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            edit = Edit(prompt="a", given=frozenset({"aspect_ratio"}))
            view = await shop.studio.generate_image(edit, Call(owner=OWNER))
            assert isinstance(view, View)
            await shop.until(view.job.id, *ENDED)
    assert provider.creates[0].edit.aspect_ratio == "1:1"
    assert view.job.warnings == ("aspect_ratio match_input_image needs an image; 1:1 was used.",)


async def test_whoever_waits_is_told_the_news_and_then_the_end(tmp_path: Path) -> None:
    seen: list[JobStatus] = []

    async def on_news(view: View) -> None:
        seen.append(view.job.status)

    async def tick() -> None:
        while True:
            # The engine's look, its leases, and the call that waits.
            await shop.clock.sleepers(3)
            shop.clock.advance(0.5)
            await anyio.wait_all_tasks_blocked()

    provider = Scripted(creates=[waiting()], looks=[Snapshot(phase=Phase.WORKING, remote_id="r1"), DONE])
    with anyio.fail_after(20):
        async with workshop(tmp_path, provider) as shop:
            edit = Edit(prompt="a", aspect_ratio="1:1")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tick)
                view = await shop.studio.generate_image(edit, Call(owner=OWNER, wait_s=40, on_news=on_news))
                assert isinstance(view, View)
                assert view.job.status is JobStatus.COMPLETED
                tasks.cancel_scope.cancel()
    assert seen[0] is JobStatus.PENDING


async def test_a_preview_is_one_picture_however_many_images(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with workshop(tmp_path, _provider()) as shop:
            view = await shop.generate(num_images=3)
            assert await shop.studio.preview(view.job, 64) is None
            job = await shop.until(view.job.id, *ENDED)
            sheet = await shop.studio.preview(job, 64)
    assert sheet is not None
    assert sheet.startswith(b"\xff\xd8")

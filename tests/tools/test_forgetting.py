"""What a person deletes: rows, then files, whatever is killed between; what is told before, and what stays."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_tools import forgetting
from kontext_tools.edits import Edit
from kontext_tools.errors import InvalidArgument, NotFound, UnknownRef
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.providers.base import Phase, Snapshot
from kontext_tools.stores.forgets import Going, Hold
from kontext_tools.views import Call, Quote, View
from support.plan_runs import refused, run, step, until_ended
from support.scripted import Scripted, waiting
from support.workshop import OWNER, Workshop, output, png, workshop

pytestmark = pytest.mark.anyio

DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))


@pytest.fixture
async def shop(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[Workshop]:
    with anyio.fail_after(60):
        async with workshop(tmp_path / "data", Scripted(creates=[DONE]), output_dir=tmp_path / "copies") as made:
            yield made


async def edited(shop: Workshop, image: str, prompt: str = "Red") -> Job:
    view = await shop.studio.edit_image(Edit(prompt=prompt, image=image), Call(owner=OWNER))
    assert isinstance(view, View)
    return await shop.until(view.job.id, SendState.COMPLETED)


@pytest.fixture
def cat(tmp_path: Path) -> str:
    (tmp_path / "cat.png").write_bytes(png())
    return str(tmp_path / "cat.png")


def files(shop: Workshop) -> set[str]:
    """Give what is kept, but for the database."""
    found = (path.relative_to(shop.folder) for path in shop.folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if not path.name.startswith("kontext.db")}


def holds(shop: Workshop, word: str) -> bool:
    """Whether a file of the database holds a word."""
    return any(word.lower().encode() in path.read_bytes().lower() for path in shop.folder.glob("kontext.db*"))


def kept(job: Job) -> set[str]:
    return {f"images/{job.id}-1.png", f"images/{job.id}-1.json"}


def source_of(job: Job) -> str:
    assert job.source is not None and job.source.blob is not None
    return job.source.blob


async def test_the_files_of_a_job_go_with_it_and_what_others_need_stays(
    shop: Workshop, cat: str, tmp_path: Path
) -> None:
    one, other = await edited(shop, cat), await edited(shop, cat, "Redder")
    for ref in ("/0", "/1"):
        await shop.studio.thumb(OWNER, f"{one.id}{ref}")
    thumbs = {name for name in files(shop) if name.startswith("thumbs/")}
    assert files(shop) == {source_of(one), *kept(one), *kept(other), *thumbs} and len(thumbs) == 2
    gone = await shop.studio.delete(OWNER, [one.id])
    assert (gone.going.images, gone.whole) == (1, True)
    assert files(shop) == {source_of(one), *kept(other), *thumbs}
    await shop.studio.delete(OWNER, [other.id])
    assert files(shop) == set()
    assert {path.name for path in (tmp_path / "copies").iterdir()} == {f"{job.id}-1.png" for job in (one, other)}


async def test_a_child_stays_as_one_that_begins_where_it_was_made(shop: Workshop, cat: str) -> None:
    parent = await edited(shop, cat)
    child = await edited(shop, f"{parent.id}/1", "Blue")
    grandchild = await edited(shop, f"{child.id}/1", "Green")
    told = await shop.studio.to_delete(OWNER, [parent.id])
    assert (told.job_ids, told.children) == ((parent.id,), 1)
    await shop.studio.thumb(OWNER, f"{child.id}/0")
    await shop.studio.delete(OWNER, [parent.id])
    with pytest.raises(UnknownRef):
        await shop.studio.image(OWNER, f"{child.id}/0")
    with pytest.raises(UnknownRef):
        await edited(shop, f"{child.id}/0")
    line = await shop.studio.lineage(OWNER, f"{grandchild.id}/1")
    assert [str(one.ref) for one in line.ancestors] == [f"{child.id}/1"]
    line = await shop.studio.lineage(OWNER, f"{child.id}/1")
    assert (line.ancestors, [str(one.ref) for one in line.descendants]) == ((), [f"{grandchild.id}/1"])
    assert (await shop.studio.picture(OWNER, f"{grandchild.id}/0")).blob == f"images/{child.id}-1.png"
    again = await edited(shop, f"{child.id}/1", "Yellow")
    assert again.depth == child.depth + 1
    pictures = {name for job in (child, grandchild, again) for name in kept(job)}
    assert files(shop) == pictures | {f"thumbs/{child.outputs[0].facts.sha256}-256.webp"}


async def test_what_a_killed_deletion_left_goes_when_the_next_server_starts(tmp_path: Path, cat: str) -> None:
    provider = Scripted(creates=[DONE])
    async with workshop(tmp_path / "data", provider) as shop:
        job = await edited(shop, cat, "Make the whole picture as loud as a Kookaburra")
        await shop.store.forget(OWNER, [job.id])
        assert files(shop) == {source_of(job), *kept(job)}
        assert holds(shop, "Kookaburra")
    async with workshop(tmp_path / "data", provider) as shop:
        # The engine sweeps before it claims: a job that ends was claimed after that.
        other = await edited(shop, cat, "Redder")
        assert files(shop) == {source_of(other), *kept(other)}
        assert await shop.store.trash() == []
        assert not holds(shop, "Kookaburra")


async def test_words_are_wiped_of_a_job_without_a_picture_too(tmp_path: Path) -> None:
    async with workshop(tmp_path / "data", Scripted(creates=[refused()])) as shop:
        view = await shop.generate("Draw a very large and very loud Kookaburra")
        await shop.until(view.job.id, SendState.FAILED)
        assert holds(shop, "Kookaburra")
        assert (await shop.studio.delete(OWNER, [view.job.id])).whole
        assert not holds(shop, "Kookaburra")


async def test_a_file_that_cannot_be_removed_is_told_and_tried_again(shop: Workshop, cat: str) -> None:
    job, other = await edited(shop, cat), await edited(shop, cat, "Redder")
    stuck = shop.folder / "images" / f"{job.id}-1.png"
    stuck.unlink()
    stuck.mkdir()
    gone = await shop.studio.delete(OWNER, [job.id])
    assert (gone.going.job_ids, gone.whole) == ((job.id,), False)
    stuck.rmdir()
    stuck.write_bytes(png())
    os.utime(stuck, (0, 0))
    assert (await shop.studio.delete(OWNER, [other.id])).whole
    assert files(shop) == set()


async def test_a_source_that_is_wanted_anew_while_the_trash_is_emptied_stays(shop: Workshop, cat: str) -> None:
    job = await edited(shop, cat)
    await shop.store.forget(OWNER, [job.id])
    source = shop.folder / source_of(job)
    os.utime(source, (0, 0))
    # A dry run reads its picture as every call does, before there is a job.
    quote = await shop.studio.edit_image(Edit(prompt="Redder", image=cat), Call(owner=OWNER, dry_run=True))
    assert isinstance(quote, Quote)
    await shop.archive.sweep()
    assert files(shop) == {source_of(job)}
    assert [one.key for one in await shop.store.trash()] == [source_of(job)]
    other = await edited(shop, cat, "Redder")
    assert await shop.store.trash() == []
    assert files(shop) == {source_of(job), *kept(other)}


async def test_a_name_must_be_that_of_a_whole_job(shop: Workshop, cat: str) -> None:
    job = await edited(shop, cat)
    with pytest.raises(InvalidArgument) as raised:
        await shop.studio.to_delete(OWNER, [f"{job.id}/1"])
    assert raised.value.failure.fix == f"To delete the whole job: kontext delete {job.id}"
    with pytest.raises(NotFound) as unknown:
        await shop.studio.to_delete(OWNER, [job.id, f"{job.id[:-1]}x"])
    assert job.id in unknown.value.failure.fix
    with pytest.raises(NotFound):
        await shop.studio.to_delete("bob", [job.id])


@pytest.mark.parametrize("age", ["", "soon", "90", "-3d", "2062-01-01"])
async def test_an_age_that_is_none_or_lies_ahead_deletes_nothing(shop: Workshop, cat: str, age: str) -> None:
    await edited(shop, cat)
    with pytest.raises(InvalidArgument, match="nothing was deleted") as raised:
        await shop.studio.to_prune(OWNER, age)
    assert raised.value.failure.field == "older_than"


async def test_old_jobs_go_a_few_at_a_time_and_younger_ones_stay(
    shop: Workshop, cat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "MOST_AT_ONCE", 3)
    old_ones = [await edited(shop, cat, f"Red {i}") for i in range(4)]
    plan = await until_ended(shop, await run(shop, step("one"), step("two", "$one")))
    await shop.let_pass(4000)
    young = await edited(shop, cat, "Redder")
    steps = [each.job.id for each in plan.runs if each.job is not None]
    told = list[int]()
    old = await shop.studio.to_prune(OWNER, "1h")
    gone = await shop.studio.prune(OWNER, old, told.append)
    assert set(gone.going.job_ids) == {plan.id, *steps, *(job.id for job in old_ones)}
    assert (gone.going.images, gone.skipped, gone.whole) == (6, {}, True)
    assert gone.going.size_bytes == old.going.size_bytes
    assert told[-1] == 7 and all(1 <= after - before <= 3 for before, after in pairwise([0, *told]))
    assert files(shop) == {source_of(young), *kept(young)}
    assert await shop.studio.job_ids(OWNER, limit=9) == [young.id]


async def test_what_became_needed_meanwhile_stays_and_the_others_go(tmp_path: Path, cat: str) -> None:
    provider = Scripted(creates=[DONE, DONE, waiting()], looks=[waiting()])
    async with workshop(tmp_path / "data", provider) as shop:
        one, other = await edited(shop, cat), await edited(shop, cat, "Redder")
        await shop.let_pass(1)
        old = await shop.studio.to_prune(OWNER, "0d")
        view = await shop.studio.edit_image(Edit(prompt="Blue", image=f"{one.id}/1"), Call(owner=OWNER))
        gone = await shop.studio.prune(OWNER, old, lambda _: None)
        assert gone.going == Going(job_ids=(other.id,), images=1, size_bytes=other.outputs[0].facts.size_bytes)
        assert dict(gone.skipped) == {Hold.CHANGED: 1}
        assert isinstance(view, View)
        assert set(await shop.studio.job_ids(OWNER, limit=9)) == {one.id, view.job.id}


async def test_a_server_beside_it_finds_the_job_no_more_and_goes_on(shop: Workshop, cat: str) -> None:
    job = await edited(shop, cat)
    mark = (await shop.studio.tidings(None)).mark
    async with workshop(shop.folder, Scripted(creates=[DONE]), running=False) as person:
        await person.studio.delete(OWNER, [job.id])
    with pytest.raises(NotFound):
        await shop.studio.get_status(job.id, Call(owner=OWNER))
    with pytest.raises(UnknownRef):
        await shop.studio.image(OWNER, f"{job.id}/1")
    happened = (await shop.studio.tidings(mark)).happenings
    assert {one.job_id for one in happened} == {job.id}
    again = await edited(shop, cat)
    assert again.id != job.id and again.status is JobStatus.COMPLETED


async def test_a_step_is_named_by_its_plan_when_it_is_to_go_alone(shop: Workshop) -> None:
    plan = await until_ended(shop, await run(shop, step("one"), step("two", "$one")))
    first = plan.runs[0].job
    assert first is not None
    with pytest.raises(InvalidArgument) as raised:
        await shop.studio.to_delete(OWNER, [first.id])
    told = raised.value.failure
    assert (told.message.replace(first.id, "STEP").replace(plan.id, "PLAN"), told.fix.replace(plan.id, "PLAN")) == (
        snapshot(("STEP is a step of PLAN; nothing was deleted.", "Delete the whole plan: kontext delete PLAN"))
    )
    gone = await shop.studio.delete(OWNER, [plan.id])
    assert len(gone.going.job_ids) == 3 and files(shop) == set()

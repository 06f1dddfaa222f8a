"""Plans whose steps were lost, are found, cost more than was told or are asked for again."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from kontext_tools import doubts
from kontext_tools.budget import Basis, Caps, Cost, Price, Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import (
    AuthFailed,
    Billed,
    ConfirmationNeeded,
    InvalidArgument,
    OutcomeUnknown,
    PlanInvalid,
    UnknownRef,
)
from kontext_tools.jobs import Job, JobStatus
from kontext_tools.planning import Asked
from kontext_tools.providers.base import Lost, Phase, Snapshot, SubmitFailed, Verdict
from kontext_tools.views import Call, Quote, View
from support.painter import Painter
from support.plan_runs import fates, lost, refused, run, step, until, until_ended
from support.scripted import OFFER, waiting
from support.workshop import OWNER, Workshop, output, png, workshop

pytestmark = pytest.mark.anyio


async def found(shop: Workshop, job: Job, name: str, remote_id: str) -> None:
    """Let a step's lost create be found at its host after all."""
    lost_one = next(run.job for run in job.runs if run.step == name)
    assert lost_one is not None
    assert await shop.store.bind(replace(lost_one.sends[0], remote_id=remote_id), now=shop.clock.now())
    shop.engine.wake()


async def test_a_plan_that_ended_unknown_runs_again_when_its_step_is_found(tmp_path: Path) -> None:
    painter = Painter({"Do lost": lost()})
    async with workshop(tmp_path, painter) as shop:
        view = await run(shop, step("lost"))
        job = await until_ended(shop, view)
        assert job.status is JobStatus.UNKNOWN
        await found(shop, job, "lost", "r1")
        again = (await shop.studio.get_status(job.id, Call(owner=OWNER))).job
        assert again.status in (JobStatus.PENDING, JobStatus.PROCESSING)
        joined = await run(shop, step("lost"), resume=job.id)
        assert joined.joined and joined.job.id == job.id
        painter.fates.clear()
        job = await until(shop, view, lambda job: job.status is JobStatus.COMPLETED and job.ended_at is not None)
    assert painter.sent == Counter({"Do lost": 1})


async def test_a_resume_does_not_send_a_step_again_that_is_being_found(tmp_path: Path) -> None:
    painter = Painter({"Do lost": lost()})
    async with workshop(tmp_path, painter) as shop:
        steps = (step("hero"), step("lost", "$hero"), step("child", "$lost"))
        first = await until_ended(shop, await run(shop, *steps))
        assert first.status is JobStatus.COMPLETED
        await found(shop, first, "lost", "r2")
        quote = await shop.studio.run_plan(Asked(steps=steps, resume=first.id), Call(owner=OWNER, dry_run=True))
        assert isinstance(quote, Quote)
        assert [(each["id"], each["images"]) for each in quote.request["steps"]] == [
            ("hero", 0),
            ("lost", 0),
            ("child", 1),
        ]
        view = await run(shop, *steps, resume=first.id)
        painter.fates.clear()
        second = await until_ended(shop, view)
        assert [fate for _, _, fate in fates(second)] == ["completed"] * 3
    assert painter.sent == Counter({"Do hero": 1, "Do lost": 1, "Do child": 1})


class Unread(Painter):
    """A host that lists its jobs and never answers what is asked of the list."""

    async def find(self, _: Lost) -> Sequence[str]:
        await anyio.sleep_forever()
        return ()


async def test_a_plan_ends_though_nobody_can_look_for_its_lost_step_any_more(tmp_path: Path) -> None:
    gone = Unread({"Do lost": lost()}, offer=replace(OFFER, finds=True))
    async with workshop(tmp_path, gone) as shop:
        view = await run(shop, step("lost"), step("child", "$lost"))
        await until(shop, view, lambda job: any(run.job and run.job.status is JobStatus.UNKNOWN for run in job.runs))
        clock = shop.clock
    async with workshop(tmp_path, Painter(offer=replace(OFFER, name="kkiai")), clock=clock) as shop:
        waits = await shop.store.job(OWNER, view.job.id)
        assert waits is not None and not waits.status.ended
        clock.advance(60)
        job = await until_ended(shop, view)
        assert (job.status, fates(job)) == (JobStatus.UNKNOWN, [("lost", 1, "unknown"), ("child", 1, "skipped")])


async def test_what_ended_unknown_in_a_plan_is_tried_again_as_a_plan_can(tmp_path: Path) -> None:
    painter = Painter({"Do lost": lost()})
    async with workshop(tmp_path, painter) as shop:
        job = await until_ended(shop, await run(shop, step("lost")))
        again = (
            "to try again on purpose, call run_plan with all its steps, the prompt of lost changed, and "
            f"resume_job_id='{job.id}'."
        )
        told = doubts.told(job)
        assert told is not None
        assert told.fix == f"Let a person look at the list of jobs at core.today; {again}"
        with pytest.raises(OutcomeUnknown) as caught:
            await run(shop, step("lost"))
        assert caught.value.failure.fix == f"Let a person look at the provider's own list of jobs; {again}"


async def test_a_person_resolves_the_steps_of_a_plan(tmp_path: Path) -> None:
    async with workshop(tmp_path, Painter({"Do lost": lost()})) as shop:
        job = await until_ended(shop, await run(shop, step("lost")))
        lost_one = job.runs[0].job
        assert lost_one is not None
        with pytest.raises(InvalidArgument) as caught:
            await shop.studio.resolve(OWNER, job.id, charged=True)
        assert caught.value.failure.fix == f"Resolve its steps one by one: {lost_one.id}."
        await shop.studio.resolve(OWNER, lost_one.id, charged=True)
        told = (await shop.studio.get_status(job.id, Call(owner=OWNER))).job
        assert told.status is JobStatus.FAILED
        assert told.failure is not None and told.failure.billed is Billed.YES


async def test_a_plans_id_is_no_image_and_its_steps_images_are_named(tmp_path: Path) -> None:
    async with workshop(tmp_path, Painter()) as shop:
        job = await until_ended(shop, await run(shop, step("a"), step("b", "$a")))
        refs = [f"{holder.id}/{output.n}" for holder, output in job.images]
        with pytest.raises(UnknownRef) as caught:
            await shop.studio.edit_image(Edit(prompt="Make the car red", image=job.id), Call(owner=OWNER))
        assert caught.value.failure.fix == f"Call again with one of: {', '.join(refs)}."


def locked_out() -> SubmitFailed:
    return SubmitFailed(Verdict.REFUSED, AuthFailed("The key was refused.", fix="Set another.").failure)


@pytest.mark.parametrize(("max_cost", "served"), [("239 credit", 0), ("240 credit", 1)])
async def test_a_step_is_passed_on_only_within_what_its_plan_may_cost(
    tmp_path: Path, max_cost: str, served: int
) -> None:
    dear = replace(OFFER, name="kkiai", price=Price(amount=Decimal(240), unit=Unit.CREDIT))
    first, second = Painter({"Do a": locked_out()}), Painter(offer=dear)
    async with workshop(tmp_path, first, second) as shop:
        asked = Asked(steps=(step("a"),), max_cost=max_cost)
        view = await shop.studio.run_plan(asked, Call(owner=OWNER))
        assert isinstance(view, View)
        await until_ended(shop, view)
    assert len(second.creates) == served


async def test_a_step_that_was_dearer_than_listed_counts_with_what_it_cost(tmp_path: Path) -> None:
    dear = Cost(amount=Decimal(200), unit=Unit.CREDIT, basis=Basis.REPORTED)
    painter = Painter({"Do a": Snapshot(phase=Phase.DONE, outputs=(output(),), cost=dear)})
    async with workshop(tmp_path, painter) as shop:
        asked = Asked(steps=(step("a"), step("b", "$a")), max_cost="240 credit")
        view = await shop.studio.run_plan(asked, Call(owner=OWNER))
        assert isinstance(view, View)
        job = await until_ended(shop, view)
        assert [fate for _, _, fate in fates(job)] == ["completed", "refused"]
        refusal = job.runs[1].refused
        assert refusal is not None and (refusal.code, refusal.field) == ("budget_exceeded", "max_cost")
    assert painter.sent == Counter({"Do a": 1})


async def test_what_a_plan_did_not_bring_is_told_by_its_fate(tmp_path: Path) -> None:
    async with workshop(tmp_path, Painter({"Do lost": lost(), "Do bad": refused()})) as shop:
        job = await until_ended(shop, await run(shop, step("lost"), step("bad"), step("good")))
        told = await shop.studio.get_status(job.id, Call(owner=OWNER))
    assert told.missing == ("lost ended unknown: No answer came.", "bad failed: The provider refused it.")


async def test_an_unknown_word_of_a_steps_provider_is_told(tmp_path: Path) -> None:
    painter = Painter({"Do slow": Snapshot(phase=Phase.WAITING)})
    async with workshop(tmp_path, painter) as shop:
        view = await run(shop, step("slow"))
        job = await until(shop, view, lambda job: any(run.job and run.job.sends[0].remote_id for run in job.runs))
        assert job.runs[0].job is not None
        slow = replace(job.runs[0].job, sends=(replace(job.runs[0].job.sends[0], odd_word="'simmering'"),))
        told = View(job=replace(job, runs=(replace(job.runs[0], job=slow),)), at=shop.clock.now())
    assert told.warnings == (
        "core.today calls it 'simmering', a status that is not known here; it counts as still running.",
    )


async def test_a_dry_run_of_a_resume_tells_that_the_plan_still_runs(tmp_path: Path) -> None:
    async with workshop(tmp_path, Painter({"Do a": waiting()})) as shop:
        first = await run(shop, step("a"), step("b", "$a"))
        await until(shop, first, lambda job: bool(job.runs))
        dry = Call(owner=OWNER, dry_run=True)
        quote = await shop.studio.run_plan(Asked(steps=(step("a"), step("b", "$a")), resume=first.job.id), dry)
        assert isinstance(quote, Quote)
        assert quote.warnings == (
            "That plan still runs: the call joins it, and sends nothing that it would not send by itself.",
        )
        assert str(quote.cost) == "120 credit"
        with pytest.raises(PlanInvalid, match="still runs"):
            await shop.studio.run_plan(Asked(steps=(step("b"),), resume=first.job.id), dry)


async def test_a_plan_that_sends_nothing_is_free_where_prices_are_unknown(tmp_path: Path) -> None:
    unpriced = Painter(offer=replace(OFFER, price=Price(amount=None, unit=Unit.CREDIT)))
    async with workshop(tmp_path, unpriced) as shop:
        first = await until_ended(shop, await run(shop, step("a")))
        asked = Asked(steps=(step("a"),), resume=first.id, max_cost="1 usd")
        quote = await shop.studio.run_plan(asked, Call(owner=OWNER, dry_run=True))
    assert isinstance(quote, Quote)
    assert str(quote.cost) == "0 credit"


async def test_the_same_picture_named_otherwise_makes_an_identical_plan(tmp_path: Path) -> None:
    painter = Painter({"Do a": waiting()})
    async with workshop(tmp_path, painter) as shop:
        named = [f"data:{head};base64,{base64.b64encode(png()).decode()}" for head in ("image/png", "image/x-png")]
        first, second = [await run(shop, step("a", image)) for image in named]
        assert second.joined and second.job.id == first.job.id


async def test_a_yes_to_a_plan_is_to_no_more_than_was_asked_about(tmp_path: Path) -> None:
    painter = Painter({"Do a": waiting()})
    caps = Caps(daily={}, per_call={}, confirm_above={Unit.CREDIT: Decimal(100)})
    async with workshop(tmp_path, painter, caps=caps) as shop:
        with pytest.raises(ConfirmationNeeded) as caught:
            await run(shop, step("a"), step("b", "$a"))
        assert caught.value.question is not None
        view = await run(shop, step("a"), step("b", "$a"), yes=caught.value.question.yes)
        await until(shop, view, lambda job: len(job.runs) == 1 and len(painter.creates) == 1)
        clock = shop.clock
    painter.fates.clear()
    painter.offer = replace(OFFER, price=Price(amount=Decimal(121), unit=Unit.CREDIT))
    async with workshop(tmp_path, painter, caps=caps, clock=clock) as shop:
        job = await until_ended(shop, view)
        assert [fate for _, _, fate in fates(job)] == ["completed", "refused"]
        refusal = job.runs[1].refused
        assert refusal is not None and refusal.code == "confirmation_needed"
    assert painter.sent == Counter({"Do a": 1})

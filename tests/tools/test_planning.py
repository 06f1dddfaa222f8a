"""Plans over a whole toolkit: fan-out, failing branches, caps, a person's yes, resuming, restarts."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Sequence
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
    BudgetExceeded,
    ConfirmationNeeded,
    InvalidArgument,
    Moderated,
    NotFound,
    OutcomeUnknown,
    PlanInvalid,
    UnknownRef,
)
from kontext_tools.jobs import Job, JobStatus
from kontext_tools.planning import Asked
from kontext_tools.plans import Step
from kontext_tools.providers.base import Lost, Phase, Snapshot, SubmitFailed, Verdict
from kontext_tools.views import Call, Quote, View
from support.painter import Painter
from support.scripted import OFFER, waiting
from support.workshop import OWNER, Workshop, output, png, workshop

pytestmark = pytest.mark.anyio


def step(name: str, image: str | None = None, num_images: int = 1, prompt: str = "") -> Step:
    return Step(id=name, edit=Edit(prompt=prompt or f"Do {name}", image=image, num_images=num_images))


def refused() -> SubmitFailed:
    return SubmitFailed(Verdict.REFUSED, Moderated("The provider refused it.", fix="Reword it.").failure)


def lost() -> SubmitFailed:
    failure = OutcomeUnknown("No answer came.", fix="Look there.", billed=Billed.UNKNOWN).failure
    return SubmitFailed(Verdict.UNKNOWN, failure)


async def run(shop: Workshop, *steps: Step, resume: str = "", **call: object) -> View:
    asked = Asked(steps=steps, resume=resume)
    view = await shop.studio.run_plan(asked, Call(owner=OWNER, **call))  # pyright: ignore[reportArgumentType]
    assert isinstance(view, View)
    return view


async def until_ended(shop: Workshop, view: View) -> Job:
    return await until(shop, view, lambda job: job.ended_at is not None)


async def until(shop: Workshop, view: View, holds: Callable[[Job], bool]) -> Job:
    with anyio.fail_after(30):
        while True:
            with shop.engine.news_of(view.job.id) as news:
                job = await shop.store.job(OWNER, view.job.id)
                assert job is not None
                if holds(job):
                    return job
                with anyio.move_on_after(0.05):
                    await news.wait()
                    continue
            shop.clock.advance(0.5)


def fates(job: Job) -> list[tuple[str, int, str]]:
    return [
        (run.step, run.n, "skipped" if run.skipped else run.job.status.value if run.job else "refused")
        for run in job.runs
    ]


FAN = (step("hero", num_images=3), step("night", "$hero/*"), step("blue", "$hero/2"), step("snow", "$night/3"))


async def test_a_plan_carries_out_every_step_from_the_outputs_of_others(tmp_path: Path) -> None:
    painter = Painter()
    async with workshop(tmp_path, painter) as shop:
        job = await until_ended(shop, await run(shop, *FAN))
        assert job.status is JobStatus.COMPLETED
        assert fates(job) == [
            ("hero", 1, "completed"),
            ("night", 1, "completed"),
            ("night", 2, "completed"),
            ("night", 3, "completed"),
            ("blue", 1, "completed"),
            ("snow", 1, "completed"),
        ]
        by_run = {(each.step, each.n): each.job for each in job.runs}
        hero, snow = by_run["hero", 1], by_run["snow", 1]
        assert hero is not None and snow is not None and snow.source is not None
        parents = [made.source.parent for made in by_run.values() if made is not None and made.source is not None]
        night = by_run["night", 3]
        assert night is not None
        assert parents == [f"{hero.id}/1", f"{hero.id}/2", f"{hero.id}/3", f"{hero.id}/2", f"{night.id}/1"]
        assert snow.depth == 2 and snow.part is not None and snow.part.plan_id == job.id
        assert len(job.images) == 3 + 3 + 1 + 1
    assert painter.sent == Counter({"Do hero": 3, "Do night": 3, "Do blue": 1, "Do snow": 1})


async def test_a_failed_step_skips_what_starts_from_it_and_the_others_go_on(tmp_path: Path) -> None:
    painter = Painter({"Do bad": refused()})
    async with workshop(tmp_path, painter) as shop:
        steps = (step("hero"), step("bad", "$hero"), step("child", "$bad"), step("good", "$hero"))
        view = await run(shop, *steps)
        job = await until_ended(shop, view)
        assert job.status is JobStatus.COMPLETED
        assert [fate for _, _, fate in fates(job)] == ["completed", "failed", "skipped", "completed"]
        told = await shop.studio.get_status(job.id, Call(owner=OWNER))
        assert told.missing == (
            "bad failed: The provider refused it.",
            "child was skipped: what it starts from is not there.",
        )
        spent = await shop.store.spent(OWNER, day="2026-11-20", unit=Unit.CREDIT)
    assert spent == Decimal(240)


async def test_a_plan_of_which_nothing_came_failed(tmp_path: Path) -> None:
    async with workshop(tmp_path, Painter({"Do bad": refused()})) as shop:
        job = await until_ended(shop, await run(shop, step("bad"), step("child", "$bad")))
        assert job.status is JobStatus.FAILED
        assert job.failure is not None and job.failure.code == "moderated"


async def test_a_resumed_plan_pays_only_for_what_is_new_or_changed(tmp_path: Path) -> None:
    painter = Painter({"Do bad": refused()})
    async with workshop(tmp_path, painter) as shop:
        steps = (step("hero", num_images=2), step("each", "$hero/*"), step("bad", "$hero/1"), step("child", "$bad"))
        first = await until_ended(shop, await run(shop, *steps))
        painter.creates.clear()
        mended = (*steps[:2], step("bad", "$hero/1", prompt="Do better"), steps[3])
        second = await until_ended(shop, await run(shop, *mended, resume=first.id))
        assert second.status is JobStatus.COMPLETED and second.plan is not None
        assert second.plan.resumed_from == first.id
        assert [fate for _, _, fate in fates(second)] == ["completed"] * 5
        assert painter.sent == Counter({"Do better": 1, "Do child": 1})
        told = await shop.studio.get_status(second.id, Call(owner=OWNER))
        assert str(told.cost) == "240 credit"
        painter.creates.clear()
        changed = (step("hero", num_images=2, prompt="Another hero"), *mended[1:])
        third = await until_ended(shop, await run(shop, *changed, resume=second.id))
        assert [fate for _, _, fate in fates(third)] == ["completed"] * 5
    assert painter.sent == Counter({"Another hero": 2, "Do each": 2, "Do better": 1, "Do child": 1})


async def test_a_step_that_ended_unknown_is_not_sent_again_unless_its_text_changed(tmp_path: Path) -> None:
    painter = Painter({"Do lost": lost()})
    async with workshop(tmp_path, painter) as shop:
        steps = (step("hero"), step("lost", "$hero"), step("child", "$lost"))
        first = await until_ended(shop, await run(shop, *steps))
        assert [fate for _, _, fate in fates(first)] == ["completed", "unknown", "skipped"]
        del painter.fates["Do lost"]
        second = await until_ended(shop, await run(shop, *steps, resume=first.id))
        assert [fate for _, _, fate in fates(second)] == ["completed", "unknown", "skipped"]
        assert painter.sent["Do lost"] == 1
        changed = (steps[0], step("lost", "$hero", prompt="Do found"), steps[2])
        third = await until_ended(shop, await run(shop, *changed, resume=second.id))
        assert [fate for _, _, fate in fates(third)] == ["completed"] * 3
    assert painter.sent == Counter({"Do hero": 1, "Do lost": 1, "Do found": 1, "Do child": 1})


async def test_the_same_steps_in_a_new_plan_do_not_send_an_unknown_one_again(tmp_path: Path) -> None:
    painter = Painter({"Do lost": lost()})
    async with workshop(tmp_path, painter) as shop:
        await until_ended(shop, await run(shop, step("lost"), step("hero")))
        job = await until_ended(shop, await run(shop, step("again", prompt="Do lost"), step("hero2")))
        run_of_it = job.runs[0]
        assert run_of_it.refused is not None and run_of_it.refused.code == "outcome_unknown"
    assert painter.sent["Do lost"] == 1


async def test_a_plan_may_want_the_same_twice(tmp_path: Path) -> None:
    painter = Painter()
    async with workshop(tmp_path, painter) as shop:
        job = await until_ended(shop, await run(shop, step("a", prompt="Twin"), step("b", prompt="Twin")))
        assert len({each.job.id for each in job.runs if each.job}) == 2
    assert painter.sent == Counter({"Twin": 2})


async def test_an_identical_call_joins_the_plan_while_it_runs(tmp_path: Path) -> None:
    painter = Painter({"Do a": waiting()})
    async with workshop(tmp_path, painter) as shop:
        first = await run(shop, step("a"))
        second = await run(shop, step("a"))
        assert second.joined and second.job.id == first.job.id
        third = await run(shop, step("a"), resume=first.job.id)
        assert third.joined and third.job.id == first.job.id
        with pytest.raises(PlanInvalid, match="still runs"):
            await run(shop, step("b"), resume=first.job.id)


async def test_a_cancelled_plan_starts_nothing_more_and_keeps_what_is_there(tmp_path: Path) -> None:
    painter = Painter({"Do slow": waiting()})
    async with workshop(tmp_path, painter) as shop:
        view = await run(shop, step("hero"), step("slow", "$hero"), step("child", "$slow"))
        await until(shop, view, lambda job: len(painter.creates) == 2 and len(job.runs) == 2)
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                told, outcome = await shop.studio.cancel_job(view.job.id, Call(owner=OWNER))
                assert outcome == "cancelled"
                assert told.job.status is JobStatus.COMPLETED
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel)
            while True:
                await anyio.lowlevel.checkpoint()
                with anyio.move_on_after(0.02):
                    await anyio.Event().wait()
                shop.clock.advance(0.1)
        job = await shop.store.job(OWNER, view.job.id)
        assert job is not None and [fate for _, _, fate in fates(job)] == ["completed", "cancelled", "refused"]
    assert painter.sent == Counter({"Do hero": 1, "Do slow": 1})


async def test_a_plan_goes_on_after_a_restart_and_sends_nothing_twice(tmp_path: Path) -> None:
    painter = Painter({"Do slow": waiting()})
    async with workshop(tmp_path, painter) as shop:
        view = await run(shop, step("hero"), step("slow", "$hero"), step("child", "$slow"))
        await until(shop, view, lambda job: len(painter.creates) == 2 and len(job.runs) == 2)
        clock = shop.clock
    painter.fates.clear()
    async with workshop(tmp_path, painter, clock=clock) as shop:
        job = await until_ended(shop, view)
        assert [fate for _, _, fate in fates(job)] == ["completed"] * 3
    assert painter.sent == Counter({"Do hero": 1, "Do slow": 1, "Do child": 1})


async def test_two_processes_on_one_data_folder_start_each_step_once(tmp_path: Path) -> None:
    painter, other = Painter(), Painter()
    async with workshop(tmp_path, painter) as shop, workshop(tmp_path, other, clock=shop.clock) as second:
        views = [await run(shop, *FAN), await run(second, step("x", num_images=2), step("y", "$x/*"))]
        jobs = [await until_ended(shop, view) for view in views]
        assert all(fate == "completed" for job in jobs for _, _, fate in fates(job))
    assert sum((painter.sent, other.sent), Counter[str]()) == Counter(
        {"Do hero": 3, "Do night": 3, "Do blue": 1, "Do snow": 1, "Do x": 2, "Do y": 2}
    )


async def test_a_dry_run_prices_the_whole_and_records_nothing(tmp_path: Path) -> None:
    painter = Painter()
    async with workshop(tmp_path, painter) as shop:
        quote = await shop.studio.run_plan(Asked(steps=FAN), Call(owner=OWNER, dry_run=True))
        assert isinstance(quote, Quote)
        assert str(quote.cost) == "960 credit"
        assert [(each["id"], each["images"]) for each in quote.request["steps"]] == [
            ("hero", 3),
            ("night", 3),
            ("blue", 1),
            ("snow", 1),
        ]
        assert not await shop.store.jobs(OWNER, limit=10)
    assert not painter.creates


@pytest.mark.parametrize(
    ("max_cost", "error", "fix"),
    [
        ("959 credit", BudgetExceeded, "max_cost may be '960 credit'"),
        ("5 usd", InvalidArgument, "max_cost in credit, such as '960 credit'"),
        ("5", InvalidArgument, "max_cost in credit, such as '960 credit'"),
    ],
)
async def test_a_plan_over_its_max_cost_is_refused_before_anything_is_sent(
    tmp_path: Path, max_cost: str, error: type[Exception], fix: str
) -> None:
    painter = Painter()
    async with workshop(tmp_path, painter) as shop:
        with pytest.raises(error) as caught:
            await shop.studio.run_plan(Asked(steps=FAN, max_cost=max_cost), Call(owner=OWNER))
        assert fix in str(getattr(caught.value, "failure").fix)  # noqa: B009  # a KontextError in each case
    assert not painter.creates


async def test_a_plan_is_held_against_the_caps_as_one_call(tmp_path: Path) -> None:
    caps = Caps(daily={}, per_call={Unit.CREDIT: Decimal(500)}, confirm_above={})
    async with workshop(tmp_path, Painter(), caps=caps) as shop:
        with pytest.raises(BudgetExceeded, match="960 credit"):
            await run(shop, *FAN)


async def test_a_person_is_asked_once_for_the_whole_plan(tmp_path: Path) -> None:
    painter = Painter()
    caps = Caps(daily={}, per_call={}, confirm_above={Unit.CREDIT: Decimal(100)})
    async with workshop(tmp_path, painter, caps=caps) as shop:
        with pytest.raises(ConfirmationNeeded) as caught:
            await run(shop, *FAN)
        question = caught.value.question
        assert question is not None and (question.images, question.price) == (8, "960 credit")
        job = await until_ended(shop, await run(shop, *FAN, yes=question.yes))
        assert job.status is JobStatus.COMPLETED
        with pytest.raises(ConfirmationNeeded):
            await run(shop, step("other"), yes=question.yes)
    assert len(painter.creates) == 8


async def test_a_resume_names_a_plan(tmp_path: Path) -> None:
    async with workshop(tmp_path, Painter()) as shop:
        view = await shop.generate()
        with pytest.raises(NotFound, match="is no plan"):
            await run(shop, step("a"), resume=view.job.id)
        with pytest.raises(NotFound, match="No job has that id"):
            await run(shop, step("a"), resume="plan-red-0000")


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        ([step("a"), step("b", "/etc/passwd")], "steps[1]"),
        ([step("a"), step("b", "no-such-0000/1")], "steps[1].image"),
        ([step("a", prompt=" ")], "steps[0].prompt"),
    ],
)
async def test_a_step_that_cannot_be_is_refused_by_its_place_before_anything_is_sent(
    tmp_path: Path, steps: list[Step], field: str
) -> None:
    painter = Painter()
    async with workshop(tmp_path, painter, roots=[tmp_path]) as shop:
        with pytest.raises(Exception) as caught:  # noqa: PT011  # which of the tree is not the matter here
            await run(shop, *steps)
        failure = getattr(caught.value, "failure")  # noqa: B009  # the same
        assert str(failure.field).startswith(field) and failure.message.startswith("In steps[")
        assert not await shop.store.jobs(OWNER, limit=10)
    assert not painter.creates


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

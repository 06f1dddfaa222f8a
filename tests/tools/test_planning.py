"""Plans over a whole toolkit: fan-out, failing branches, caps, a person's yes, resuming, restarts."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from kontext_tools.budget import Caps, Unit
from kontext_tools.errors import (
    BudgetExceeded,
    ConfirmationNeeded,
    InvalidArgument,
    NotFound,
    PlanInvalid,
)
from kontext_tools.jobs import JobStatus
from kontext_tools.planning import Asked
from kontext_tools.plans import Step
from kontext_tools.views import Call, Quote
from support.painter import Painter
from support.plan_runs import fates, lost, refused, run, step, until, until_ended
from support.scripted import waiting
from support.workshop import OWNER, workshop

pytestmark = pytest.mark.anyio

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

"""What a store deletes, what it refuses to, what stays, and what it notes for the files' sake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from inline_snapshot import snapshot

from kontext_tools.budget import Caps
from kontext_tools.edits import Edit
from kontext_tools.errors import Billed, ConfirmationNeeded, InvalidArgument, NotFound, OutcomeUnknown
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import Job, Run, SendState, Source, SourceKind
from kontext_tools.plans import Part, Plan, Step
from kontext_tools.references import Ref
from kontext_tools.stores.base import JobNews
from kontext_tools.stores.finds import Wanted
from kontext_tools.stores.forgets import Going, Hold
from kontext_tools.stores.journal import What
from kontext_tools.stores.tasks import Task
from support.fake_clock import START
from support.places import AnyStore
from support.rows import FOUR_CENTS, a_job, admit, an_output, claim_all, keep

pytestmark = pytest.mark.anyio

LOST = OutcomeUnknown("lost", fix="look").failure
CAR, BUS, TREE = "red-car-4k7q", "blue-bus-4k7q", "oak-tree-4k7q"
SHA = "cd" * 32
FACTS = ImageFacts(media_type="image/png", width=64, height=48, size_bytes=99, sha256=SHA)
UPLOAD = Source(kind=SourceKind.FILE, facts=FACTS, blob=f"sources/{SHA}.png")


def made_from(ref: str) -> Source:
    """Give the source of an edit of an earlier result, with the address that its host is given."""
    job_id, _, n = ref.partition("/")
    return Source(
        kind=SourceKind.RESULT, facts=FACTS, blob=f"images/{job_id}-{n}.png", parent=ref, url="https://cdn.test/a"
    )


async def end(store: AnyStore, job_id: str, state: SendState, *, n: int = 1, images: int = 0) -> None:
    """Bring one send of a job to its end."""
    claims = await claim_all(store, lease_until=START + timedelta(seconds=10))
    (send,) = [claim.send for claim in claims if (claim.send.job_id, claim.send.n) == (job_id, n)]
    for going in (SendState.INTENT, SendState.SUBMITTED, SendState.READY):
        if not going.ended and state is not SendState.UNKNOWN:
            assert await store.save(replace(send, state=going), now=START, release=False)
    if state is SendState.UNKNOWN:
        assert await store.save(replace(send, state=SendState.INTENT, sent_at=START), now=START, release=False)
    failure = LOST if state is SendState.UNKNOWN else None
    ended = replace(send, state=state, failure=failure, ended_at=START)
    outputs = [an_output(one, job_id) for one in range(n, n + images)]
    assert await store.save(ended, now=START, release=True, outputs=outputs)
    await store.release("one")


def a_plan(plan_id: str, *names: str, runs: tuple[Run, ...] = ()) -> Job:
    steps = tuple(Step(id=name, edit=Edit(prompt=f"Do {name}"), source=UPLOAD) for name in names)
    return replace(a_job(plan_id), tool="run_plan", sends=(), plan=Plan(steps=steps), runs=runs)


async def record(store: AnyStore, plan: Job) -> None:
    await store.admit_plan(plan, caps=Caps.none(), prices=[], now=START)


async def plan_of_two(store: AnyStore, plan_id: str = "plan-red-4k7q") -> None:
    """A plan that ended, with two steps that made a picture each."""
    await record(store, a_plan(plan_id, "one", "two"))
    for job_id, name in ((CAR, "one"), (BUS, "two")):
        await admit(store, a_job(job_id, part=Part(plan_id=plan_id, step=name, run=1)))
        await end(store, job_id, SendState.COMPLETED, images=1)
    assert await store.rest_plan("one", plan_id, now=START)


async def taking_over(store: AnyStore, plan_id: str, *, over: str = CAR) -> None:
    """A plan that ended, and took over the run of a job."""
    job = await store.any_job(over)
    assert job is not None
    await record(store, a_plan(plan_id, "one", runs=(Run(step="one", n=1, job=job, carried=True),)))
    assert await store.rest_plan("one", plan_id, now=START)


async def there(store: AnyStore) -> set[str]:
    return set(await store.recent_ids("ann"))


async def trash(store: AnyStore) -> list[str]:
    return sorted(one.key for one in await store.trash())


async def test_a_job_goes_with_its_pictures_and_its_words_and_its_money_stays(store: AnyStore) -> None:
    await keep(store, CAR, prompt="a zebra", images=2)
    await keep(store, BUS)
    spent, mark = await store.usage("ann", days=9), (await store.tidings(None)).mark
    told = await store.going("ann", [CAR])
    assert await there(store) == {CAR, BUS}
    assert await store.forget("ann", [CAR]) == told == Going(job_ids=(CAR,), images=2, size_bytes=2468)
    assert await store.job("ann", CAR) is None and await there(store) == {BUS}
    assert [row.job_id for row in (await store.images("ann", limit=9)).rows] == [BUS]
    assert (await store.images("ann", Wanted(words=("zebra",)), limit=9)).rows == ()
    assert await store.usage("ann", days=9) == spent
    happened = (await store.tidings(mark)).happenings
    assert {(one.job_id, one.what) for one in happened} == {(CAR, What.IMAGE), (CAR, What.JOB)}


async def test_an_id_that_was_deleted_is_never_given_again_and_its_request_key_is_free(store: AnyStore) -> None:
    await admit(store, a_job(CAR, request_key="k", key_digest="d"), nonce="yes")
    await end(store, CAR, SendState.COMPLETED, images=1)
    await store.forget("ann", [CAR])
    with pytest.raises(LookupError):
        await admit(store, a_job(CAR))
    assert await store.job_of_key("ann", "k") is None
    assert not (await admit(store, a_job(BUS, request_key="k", key_digest="other"))).joined
    with pytest.raises(ConfirmationNeeded):
        await admit(store, a_job(TREE), nonce="yes")


@pytest.mark.parametrize("with_a_picture", [False, True])
async def test_what_may_have_been_charged_stays_until_a_person_said_what_became_of_it(
    store: AnyStore, with_a_picture: bool
) -> None:
    await admit(store, a_job(CAR, sends=2 if with_a_picture else 1))
    await end(store, CAR, SendState.UNKNOWN)
    if with_a_picture:
        await end(store, CAR, SendState.COMPLETED, n=2, images=1)
    with pytest.raises(InvalidArgument) as refused:
        await store.forget("ann", [CAR])
    assert refused.value.failure.fix == f"Say first what became of it: kontext jobs --resolve {CAR} charged|not-charged"
    assert await store.resolve("ann", CAR, charged=True, now=START) is not None
    await store.forget("ann", [CAR])
    assert await there(store) == set()


async def test_what_runs_stays_and_so_does_all_that_was_to_go_with_it(store: AnyStore) -> None:
    await keep(store, CAR)
    await admit(store, a_job(BUS))
    with pytest.raises(InvalidArgument) as refused:
        await store.forget("ann", [CAR, BUS])
    assert refused.value.failure.to_dict() == snapshot(
        {
            "code": "invalid_argument",
            "message": "blue-bus-4k7q still runs; nothing was deleted.",
            "fix": "Cancel it first: kontext cancel blue-bus-4k7q",
            "field": "job_id",
            "retryable": False,
            "billed": Billed.NO,
        }
    )
    assert await there(store) == {CAR, BUS} and await trash(store) == []


@pytest.mark.parametrize("owner", ["ann", "bob"])
async def test_what_is_not_there_and_what_is_anothers_are_refused_alike(store: AnyStore, owner: str) -> None:
    await keep(store, CAR, owner="ann" if owner == "bob" else "bob")
    await keep(store, BUS, owner=owner)
    with pytest.raises(NotFound):
        await store.forget(owner, [BUS, CAR])
    assert await store.any_job(BUS) is not None and await store.any_job(CAR) is not None


async def test_a_plan_goes_with_its_steps_and_no_step_goes_alone(store: AnyStore) -> None:
    await plan_of_two(store)
    with pytest.raises(InvalidArgument) as refused:
        await store.forget("ann", [CAR])
    assert refused.value.failure.fix == "Delete the whole plan: kontext delete plan-red-4k7q"
    gone = await store.forget("ann", [BUS, "plan-red-4k7q", BUS])
    assert gone == Going(job_ids=("plan-red-4k7q", CAR, BUS), images=2, size_bytes=2468)
    assert await there(store) == set()
    assert f"sources/{SHA}.png" in await trash(store)


async def test_a_plan_whose_run_was_taken_over_goes_with_the_plan_that_did_or_stays(store: AnyStore) -> None:
    await plan_of_two(store)
    await taking_over(store, "plan-two-4k7q")
    await taking_over(store, "plan-six-4k7q")
    with pytest.raises(InvalidArgument) as refused:
        await store.forget("ann", ["plan-red-4k7q"])
    assert refused.value.failure.fix == (
        "Delete them together: kontext delete plan-red-4k7q plan-six-4k7q plan-two-4k7q"
    )
    assert (await store.forget("ann", ["plan-six-4k7q"])).job_ids == ("plan-six-4k7q",)
    assert await there(store) == {"plan-red-4k7q", "plan-two-4k7q", CAR, BUS}
    await store.forget("ann", ["plan-red-4k7q", "plan-two-4k7q"])
    assert await there(store) == set()


async def test_a_plan_that_took_over_an_unknown_run_stays_like_that(store: AnyStore) -> None:
    await record(store, a_plan("plan-red-4k7q", "one"))
    await admit(store, a_job(CAR, part=Part(plan_id="plan-red-4k7q", step="one", run=1)))
    await end(store, CAR, SendState.UNKNOWN)
    assert await store.rest_plan("one", "plan-red-4k7q", now=START)
    await taking_over(store, "plan-two-4k7q")
    for plan in ("plan-red-4k7q", "plan-two-4k7q"):
        with pytest.raises(InvalidArgument, match=f"{CAR}, a step of {plan}, may have been charged"):
            await store.forget("ann", [plan])


async def test_a_plan_that_is_resumed_while_its_steps_are_deleted_is_refused(store: AnyStore) -> None:
    await plan_of_two(store)
    job = await store.any_job(CAR)
    await store.forget("ann", ["plan-red-4k7q"])
    resumed = a_plan("plan-two-4k7q", "one", runs=(Run(step="one", n=1, job=job, carried=True),))
    with pytest.raises(NotFound, match="was deleted a moment ago"):
        await record(store, resumed)
    assert await there(store) == set()


async def test_what_a_running_job_or_plan_starts_from_stays(store: AnyStore) -> None:
    await keep(store, CAR)
    await keep(store, BUS)
    await admit(store, a_job(TREE, source=made_from(f"{CAR}/1")))
    plan = a_plan("plan-red-4k7q", "one")
    assert plan.plan is not None
    steps = (replace(plan.plan.steps[0], source=made_from(f"{BUS}/1")),)
    await record(store, replace(plan, plan=replace(plan.plan, steps=steps)))
    for job_id, by in ((CAR, TREE), (BUS, "plan-red-4k7q")):
        with pytest.raises(InvalidArgument) as refused:
            await store.forget("ann", [job_id])
        assert refused.value.failure.fix == f"Wait for it or cancel it: kontext cancel {by}"


async def test_what_was_made_from_it_stays_and_begins_there(store: AnyStore) -> None:
    await keep(store, CAR)
    await keep(store, BUS, source=made_from(f"{CAR}/1"), images=2)
    await keep(store, TREE, source=made_from(f"{BUS}/1"))
    before = await store.any_job(BUS)
    assert await store.forget("ann", [CAR]) == Going(job_ids=(CAR,), images=1, size_bytes=1234, children=2)
    after = await store.any_job(BUS)
    assert before is not None and after is not None
    assert after == replace(before, source=Source(kind=SourceKind.RESULT), warnings=after.warnings)
    assert after.warnings == ("The picture that it was made from was deleted, so there is no 'before'.",)
    kin = await store.kin("ann", Ref(job_id=BUS, n=1), limit=9)
    assert {str(row.ref): row.parent for row in kin} == {f"{BUS}/1": None, f"{TREE}/1": f"{BUS}/1"}


async def test_what_goes_together_counts_as_nobodys_child(store: AnyStore) -> None:
    await keep(store, CAR)
    await keep(store, BUS, source=made_from(f"{CAR}/1"))
    assert (await store.forget("ann", [CAR, BUS])).children == 0


async def test_the_files_of_what_is_deleted_are_trash_but_what_others_refer_to(store: AnyStore) -> None:
    await keep(store, CAR, source=UPLOAD)
    await keep(store, BUS, source=UPLOAD)
    await store.forget("ann", [CAR])
    pictures = "ab" * 32
    assert await trash(store) == [f"images/{CAR}-1.json", f"images/{CAR}-1.png"]
    await store.forget("ann", [BUS])
    assert await trash(store) == sorted(
        [
            *(f"images/{job}-1.{ending}" for job in (CAR, BUS) for ending in ("json", "png")),
            f"sources/{SHA}.png",
            *(f"thumbs/{sha}-256.webp" for sha in (SHA, pictures)),
        ]
    )
    await store.empty_trash(await store.trash())
    assert await trash(store) == []


@pytest.mark.parametrize("holder", ["job", "plan", "task"])
async def test_a_source_that_anything_refers_to_again_is_no_trash(store: AnyStore, holder: str) -> None:
    await keep(store, CAR, source=UPLOAD)
    await store.forget("ann", [CAR])
    source = f"sources/{SHA}.png"
    assert source in await trash(store)
    if holder == "job":
        await admit(store, a_job(BUS, source=UPLOAD))
    elif holder == "plan":
        await record(store, a_plan("plan-red-4k7q", "one"))
    else:
        await store.add_task(a_task({"asked": {"arguments": {"image": {"blob": source}}}}))
    assert await trash(store) == [
        f"images/{CAR}-1.json",
        f"images/{CAR}-1.png",
        "thumbs/" + "ab" * 32 + "-256.webp",
    ]


def a_task(doc: dict[str, object], task_id: str = "t1") -> Task:
    hour = timedelta(hours=1)
    return Task(id=task_id, owner="ann", kind="job", doc=doc, created_at=START, updated_at=START, ends_at=START + hour)


async def test_a_key_that_becomes_trash_again_meanwhile_is_not_forgotten(store: AnyStore) -> None:
    await keep(store, CAR, source=UPLOAD)
    await store.forget("ann", [CAR])
    seen = await store.trash()
    await keep(store, BUS, source=UPLOAD)
    await store.forget("ann", [BUS])
    await store.empty_trash(seen)
    assert await trash(store) == sorted(
        [
            *(f"images/{BUS}-1.{ending}" for ending in ("json", "png")),
            f"sources/{SHA}.png",
            *(f"thumbs/{sha}-256.webp" for sha in (SHA, "ab" * 32)),
        ]
    )


async def test_a_source_that_is_fetched_for_a_job_that_was_deleted_meanwhile_is_trash(store: AnyStore) -> None:
    await keep(store, CAR)
    await store.forget("ann", [CAR])
    await store.add_news(CAR, JobNews(source=UPLOAD))
    assert f"sources/{SHA}.png" in await trash(store)


async def test_tasks_that_stand_for_it_or_asked_about_it_go_with_it(store: AnyStore) -> None:
    await store.admit(a_job(CAR), caps=Caps.none(), price=FOUR_CENTS, now=START, nonce="n0nce")
    await end(store, CAR, SendState.COMPLETED, images=1)
    docs: list[dict[str, object]] = [
        {"job": CAR, "joined": False},
        {"asked": {"question": {"yes": {"nonce": "n0nce"}}}},
        {"ended": {"structuredContent": {"job_id": CAR}}},
        {"job": BUS, "joined": False},
    ]
    for i, doc in enumerate(docs):
        await store.add_task(a_task(doc, f"t{i}"))
    await store.forget("ann", [CAR])
    left = [i for i in range(len(docs)) if await store.task("ann", f"t{i}", now=START) is not None]
    assert left == [3]


def names(units: Iterable[tuple[str, ...]]) -> list[str]:
    return [job_id for unit in units for job_id in unit]


async def test_what_ended_before_a_moment_is_found_the_newest_first(store: AnyStore) -> None:
    for second, job_id in enumerate((CAR, BUS, TREE)):
        await keep(store, job_id, second=second)
    await keep(store, "another-4k7q", owner="bob")
    old = await store.old("ann", before=START + timedelta(seconds=2))
    assert (old.units, dict(old.skipped)) == (((BUS,), (CAR,)), {})
    assert old.going == Going(job_ids=(BUS, CAR), images=2, size_bytes=2468)


async def test_what_may_not_go_is_skipped_and_counted_by_why(store: AnyStore) -> None:
    soon = START + timedelta(hours=1)
    await keep(store, CAR)
    await keep(store, "old-boot-4k7q")
    await admit(store, a_job(BUS, source=made_from(f"{CAR}/1")))
    await admit(store, a_job(TREE))
    await end(store, TREE, SendState.UNKNOWN)
    old = await store.old("ann", before=soon)
    assert names(old.units) == ["old-boot-4k7q"]
    assert dict(old.skipped) == {Hold.NEEDED: 1, Hold.RUNNING: 1, Hold.UNKNOWN: 1}


async def test_old_plans_go_with_those_that_took_over_from_them_or_stay_with_them(store: AnyStore) -> None:
    await plan_of_two(store)
    job = await store.any_job(CAR)
    later = START + timedelta(hours=1)
    resumed = a_plan("plan-two-4k7q", "one", runs=(Run(step="one", n=1, job=job, carried=True),))
    resumed = replace(resumed, created_at=later)
    await store.admit_plan(resumed, caps=Caps.none(), prices=[], now=later)
    assert await store.rest_plan("one", "plan-two-4k7q", now=later)
    early = await store.old("ann", before=later)
    assert (early.units, dict(early.skipped)) == ((), {Hold.TAKEN_OVER: 1})
    late = await store.old("ann", before=later + timedelta(seconds=1))
    assert late.units == (("plan-two-4k7q",), ("plan-red-4k7q", CAR, BUS))


async def test_an_old_plan_with_a_younger_part_stays(store: AnyStore) -> None:
    await record(store, a_plan("plan-red-4k7q", "one"))
    await admit(store, a_job(CAR, part=Part(plan_id="plan-red-4k7q", step="one", run=1)))
    await end(store, CAR, SendState.UNKNOWN)
    assert await store.rest_plan("one", "plan-red-4k7q", now=START)
    later = START + timedelta(hours=1)
    assert await store.resolve("ann", CAR, charged=False, now=later) is not None
    early, late = [await store.old("ann", before=later + timedelta(minutes=minutes)) for minutes in (-30, 30)]
    assert (early.units, dict(early.skipped)) == ((), {Hold.YOUNGER: 1})
    assert late.units == (("plan-red-4k7q", CAR),)


async def test_a_plan_that_ended_and_is_only_to_be_looked_at_once_more_needs_no_picture(store: AnyStore) -> None:
    await keep(store, BUS)
    plan = a_plan("plan-red-4k7q", "one", "two")
    assert plan.plan is not None
    one, two = plan.plan.steps
    steps = (one, replace(two, source=made_from(f"{BUS}/1")))
    await record(store, replace(plan, plan=replace(plan.plan, steps=steps)))
    for job_id, name in ((CAR, "one"), (TREE, "two")):
        await admit(store, a_job(job_id, part=Part(plan_id="plan-red-4k7q", step=name, run=1)))
        await end(store, job_id, SendState.UNKNOWN)
    assert await store.rest_plan("one", "plan-red-4k7q", now=START)
    assert await store.resolve("ann", CAR, charged=False, now=START) is not None
    assert (await store.forget("ann", [BUS])).job_ids == (BUS,)

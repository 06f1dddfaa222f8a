"""The person's word: what they are asked, what their yes buys, and that it buys it once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_tools.budget import Caps, Price, Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import BudgetExceeded, ConfirmationNeeded, OutcomeUnknown
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.providers.base import Offer, Phase, Snapshot
from kontext_tools.questions import Question, Yes
from kontext_tools.views import Call, Quote, View
from support.scripted import OFFER, Scripted, waiting
from support.workshop import OWNER, Workshop, output, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
CAR = Edit(prompt="a red car", aspect_ratio="1:1")
TODAY = "2026-11-20"
ASKING = Caps(daily={}, per_call={}, confirm_above={Unit.CREDIT: Decimal(100)})
WITHIN_S = 20


def a_shop(
    folder: Path, *, caps: Caps = ASKING, looks: Sequence[Snapshot] = (DONE,), offer: Offer = OFFER
) -> AbstractAsyncContextManager[Workshop]:
    return workshop(folder, Scripted(creates=[waiting()], looks=list(looks), offer=offer), caps=caps)


async def asked(shop: Workshop, edit: Edit = CAR, **call: object) -> Question:
    with pytest.raises(ConfirmationNeeded) as caught:
        await made(shop, edit, **call)
    assert caught.value.question is not None
    return caught.value.question


async def made(shop: Workshop, edit: Edit = CAR, **call: object) -> Job:
    facts: dict[str, object] = {"owner": OWNER, **call}
    view = await shop.studio.generate_image(edit, Call(**facts))  # pyright: ignore[reportArgumentType]
    assert isinstance(view, View)
    return view.job


async def delivered(shop: Workshop, job: Job) -> Job:
    await shop.until(job.id, *ENDED)
    return (await shop.studio.get_status(job.id, Call(owner=OWNER))).job


async def recorded(shop: Workshop) -> tuple[int, Decimal]:
    """Give how many jobs there are and what is reserved for them."""
    return len(await shop.store.jobs(OWNER, limit=10)), await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)


async def test_the_question_names_what_would_be_done_and_nothing_is_recorded_or_reserved(tmp_path: Path) -> None:
    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path) as shop:
            question = await asked(shop, replace(CAR, num_images=3))
            assert await recorded(shop) == (0, 0)
    assert replace(question, yes=Yes(binding="b", nonce="n", given="g")) == snapshot(
        Question(
            tool="generate_image",
            provider="core.today",
            images=3,
            price="360 credit",
            prompt="a red car",
            yes=Yes(binding="b", nonce="n", given="g"),
        )
    )


async def test_a_yes_makes_the_job_and_is_kept_with_it(tmp_path: Path) -> None:
    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path) as shop:
            job = await made(shop, yes=(await asked(shop)).yes)
            kept = await shop.store.job(OWNER, job.id)
            assert await recorded(shop) == (1, 120)
    assert kept is not None and kept.agreed == Price(amount=Decimal(120), unit=Unit.CREDIT)


@pytest.mark.parametrize(
    ("edit", "call"),
    [
        (replace(CAR, prompt="a blue car"), {}),
        (replace(CAR, num_images=2), {}),
        (replace(CAR, provider="core.today"), {}),
        (replace(CAR, seed=7), {}),
        (CAR, {"request_key": "again"}),
        (CAR, {"owner": "bob"}),
    ],
)
async def test_a_yes_to_one_call_is_none_to_another(tmp_path: Path, edit: Edit, call: dict[str, str]) -> None:
    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path) as shop:
            yes = (await asked(shop)).yes
            again = await asked(shop, edit, yes=yes, **call)
            assert await recorded(shop) == (0, 0)
    assert again.yes.binding != yes.binding


@pytest.mark.parametrize(
    "later",
    [
        replace(OFFER, price=Price(amount=Decimal(121), unit=Unit.CREDIT)),
        replace(OFFER, price=Price(amount=None, unit=Unit.CREDIT)),
        replace(OFFER, model="black-forest-labs/flux-kontext-max"),
        replace(OFFER, name="fal"),
    ],
)
async def test_where_price_model_or_provider_changed_meanwhile_the_person_is_asked_again(
    tmp_path: Path, later: Offer
) -> None:
    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path) as shop:
            yes = (await asked(shop)).yes
        async with a_shop(tmp_path, offer=later) as shop:
            again = await asked(shop, yes=yes)
            assert await recorded(shop) == (0, 0)
    assert (again.provider, again.price) == (later.name, str(later.price))


async def test_a_yes_that_has_bought_its_picture_buys_no_second_one(tmp_path: Path) -> None:
    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path) as shop:
            yes = (await asked(shop)).yes
            await delivered(shop, await made(shop, yes=yes))
            with pytest.raises(ConfirmationNeeded, match="has bought its picture already") as caught:
                await made(shop, yes=yes)
            assert await recorded(shop) == (1, 120)
            assert caught.value.question is not None
            await made(shop, yes=caught.value.question.yes)
            assert await recorded(shop) == (2, 240)


async def test_one_yes_given_twenty_times_at_once_makes_one_job(tmp_path: Path) -> None:
    ids: set[str] = set()

    async def one(yes: Yes) -> None:
        ids.add((await made(shop, yes=yes)).id)

    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path, looks=[waiting()]) as shop:
            yes = (await asked(shop)).yes
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(one, yes)
            assert await recorded(shop) == (1, 120)
    assert len(ids) == 1


async def test_what_exists_already_is_joined_and_nobody_is_asked(tmp_path: Path) -> None:
    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path, looks=[waiting(), waiting(), DONE]) as shop:
            job = await made(shop, yes=(await asked(shop)).yes)
            assert (await made(shop)).id == job.id
            keyed = await made(shop, request_key="k", yes=(await asked(shop, request_key="k")).yes)
            await delivered(shop, keyed)
            assert (await made(shop, request_key="k")).id == keyed.id


async def test_after_an_unknown_one_nobody_is_asked_for_it_again(tmp_path: Path) -> None:
    with anyio.fail_after(WITHIN_S):
        async with workshop(tmp_path, Scripted(creates=[RuntimeError("no answer")]), caps=ASKING) as shop:
            job = await made(shop, yes=(await asked(shop)).yes)
            assert (await delivered(shop, job)).status is JobStatus.UNKNOWN
            with pytest.raises(OutcomeUnknown):
                await made(shop)


@pytest.mark.parametrize(
    "caps",
    [
        replace(ASKING, per_call={Unit.CREDIT: Decimal(119)}),
        replace(ASKING, daily={Unit.CREDIT: Decimal(119)}),
        replace(ASKING, daily={Unit.USD: Decimal(5)}),
    ],
)
async def test_a_yes_lifts_no_cap_and_nobody_is_asked_in_vain(tmp_path: Path, caps: Caps) -> None:
    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path) as shop:
            yes = (await asked(shop)).yes
        async with a_shop(tmp_path, caps=caps) as shop:
            for given in (None, yes):
                with pytest.raises(BudgetExceeded):
                    await made(shop, yes=given)
        async with a_shop(tmp_path) as shop:
            # A refusal burns no yes.
            await made(shop, yes=yes)
            assert await recorded(shop) == (1, 120)


async def test_a_dry_run_says_that_a_person_would_be_asked(tmp_path: Path) -> None:
    with anyio.fail_after(WITHIN_S):
        async with a_shop(tmp_path) as shop:
            quote = await shop.studio.generate_image(CAR, Call(owner=OWNER, dry_run=True))
            assert await recorded(shop) == (0, 0)
    assert isinstance(quote, Quote)
    assert quote.warnings == snapshot(("It is above KONTEXT_CONFIRM_ABOVE: a person is asked before it is sent.",))

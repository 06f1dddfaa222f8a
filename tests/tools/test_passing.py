"""The next provider: under `auto` alone, only where nothing was charged, with the budget checked anew."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from kontext_tools.budget import Caps, Price, Unit
from kontext_tools.edits import Edit
from kontext_tools.errors import (
    AuthFailed,
    ConfirmationNeeded,
    KontextError,
    Moderated,
    OutOfCredit,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.providers.base import Phase, Snapshot, SubmitFailed, Verdict
from kontext_tools.views import Call, View
from support.scripted import OFFER, Scripted
from support.workshop import OWNER, output, workshop

pytestmark = pytest.mark.anyio

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
DONE = Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),))
FOUR_CENTS = Price(amount=Decimal("0.04"), unit=Unit.USD)
TODAY = "2026-11-20"


def _refusing(error: KontextError, verdict: Verdict = Verdict.REFUSED) -> Scripted:
    return Scripted(creates=[SubmitFailed(verdict, error.failure)])


def _second(**facts: object) -> Scripted:
    offer = replace(OFFER, name="fal", model="fal's", price=FOUR_CENTS, **facts)  # pyright: ignore[reportArgumentType]
    return Scripted(creates=[DONE], looks=[DONE], offer=offer)


async def _asked(folder: Path, first: Scripted, second: Scripted, edit: Edit, caps: Caps | None = None) -> Job:
    """Make it; a person who is asked says yes."""
    call = Call(owner=OWNER)
    with anyio.fail_after(20):
        async with workshop(folder, first, second, caps=caps) as shop:
            try:
                view = await shop.studio.generate_image(edit, call)
            except ConfirmationNeeded as needed:
                yes = needed.question and needed.question.yes
                view = await shop.studio.generate_image(edit, replace(call, yes=yes))
            assert isinstance(view, View)
            return await shop.until(view.job.id, *ENDED)


EDIT = Edit(prompt="a red car", aspect_ratio="1:1")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (AuthFailed("no", fix="key"), Verdict.REFUSED),
        (OutOfCredit("no", fix="credit"), Verdict.REFUSED),
        (RateLimited("no", fix="wait", retry_after_s=100_000), Verdict.NOT_TAKEN),
        (ProviderUnavailable("no", fix="again"), Verdict.NOT_TAKEN),
    ],
)
async def test_the_next_one_serves_and_the_answer_says_why(
    tmp_path: Path, error: KontextError, verdict: Verdict
) -> None:
    first, second = _refusing(error, verdict), _second()
    job = await _asked(tmp_path, first, second, EDIT)
    assert (job.status, job.provider, job.model) == (JobStatus.COMPLETED, "fal", "fal's")
    assert job.sends[0].provider == "fal"
    assert job.warnings == (f"core.today did not serve it ({error.code}); fal was asked instead.",)
    assert len(second.creates) == 1


async def test_the_reservation_goes_with_it_in_the_next_ones_unit(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with workshop(tmp_path, _refusing(AuthFailed("no", fix="key")), _second()) as shop:
            await shop.until((await shop.generate()).job.id, *ENDED)
            credit = await shop.store.spent(OWNER, day=TODAY, unit=Unit.CREDIT)
            usd = await shop.store.spent(OWNER, day=TODAY, unit=Unit.USD)
    assert (credit, usd) == (0, Decimal("0.04"))


@pytest.mark.parametrize("error", [Moderated("no", fix="else"), ProviderError("no", fix="else")])
async def test_refused_content_and_refused_arguments_are_never_passed_on(tmp_path: Path, error: KontextError) -> None:
    second = _second()
    job = await _asked(tmp_path, _refusing(error), second, EDIT)
    assert (job.status, job.provider) == (JobStatus.FAILED, "core.today")
    assert second.creates == []


async def test_what_may_have_been_charged_is_never_passed_on(tmp_path: Path) -> None:
    second = _second()
    job = await _asked(tmp_path, _refusing(AuthFailed("no", fix="key"), Verdict.UNKNOWN), second, EDIT)
    assert job.status is JobStatus.UNKNOWN
    assert second.creates == []


async def test_a_provider_named_in_the_call_never_passes_its_job_on(tmp_path: Path) -> None:
    second = _second()
    job = await _asked(tmp_path, _refusing(AuthFailed("no", fix="key")), second, replace(EDIT, provider="core.today"))
    assert job.status is JobStatus.FAILED
    assert second.creates == []


async def test_one_that_would_not_honour_everything_is_left_out(tmp_path: Path) -> None:
    second = _second(seed=None)
    job = await _asked(tmp_path, _refusing(AuthFailed("no", fix="key")), second, replace(EDIT, seed=7))
    assert job.status is JobStatus.FAILED
    assert second.creates == []


async def test_a_cap_that_the_next_one_would_pass_keeps_the_first_ones_failure(tmp_path: Path) -> None:
    second = _second()
    caps = Caps(daily={Unit.CREDIT: Decimal(1000), Unit.USD: Decimal("0.01")}, per_call={}, confirm_above={})
    job = await _asked(tmp_path, _refusing(AuthFailed("no", fix="key")), second, EDIT, caps)
    assert job.failure is not None
    assert (job.status, job.failure.code) == (JobStatus.FAILED, "auth_failed")
    assert second.creates == []


async def test_several_images_of_one_send_become_several_sends_with_their_seeds(tmp_path: Path) -> None:
    first = Scripted(
        creates=[SubmitFailed(Verdict.REFUSED, AuthFailed("no", fix="key").failure)],
        offer=replace(OFFER, images_per_send=4),
    )
    second = _second()
    job = await _asked(tmp_path, first, second, replace(EDIT, num_images=3, seed=5))
    assert [(send.n, send.seed, send.first_output, send.provider) for send in job.sends] == [
        (1, 5, 1, "fal"),
        (2, 6, 2, "fal"),
        (3, 7, 3, "fal"),
    ]
    assert [kept.n for kept in job.outputs] == [1, 2, 3]


async def test_only_the_send_that_was_refused_is_passed_on(tmp_path: Path) -> None:
    first = Scripted(creates=[DONE, SubmitFailed(Verdict.REFUSED, OutOfCredit("no", fix="credit").failure)])
    job = await _asked(tmp_path, first, _second(), replace(EDIT, num_images=2))
    assert sorted(send.provider for send in job.sends) == ["core.today", "fal"]
    assert job.status is JobStatus.COMPLETED


def _dearer(amount: str, unit: Unit = Unit.CREDIT, *, images_per_send: int = 1) -> Scripted:
    second = _second(images_per_send=images_per_send)
    second.offer = replace(second.offer, price=Price(amount=Decimal(amount), unit=unit))
    return second


def _four_refused() -> Scripted:
    """Give one whose offer makes four images in one request, 480 credit, and that takes none."""
    return Scripted(
        creates=[SubmitFailed(Verdict.REFUSED, AuthFailed("no", fix="key").failure)],
        offer=replace(OFFER, images_per_send=4),
    )


ASKING = Caps(daily={}, per_call={}, confirm_above={Unit.CREDIT: Decimal(200), Unit.USD: Decimal("0.10")})


@pytest.mark.parametrize(
    ("images", "second", "serves"),
    [
        (4, _dearer("120"), True),
        (4, _dearer("120.01"), False),
        (4, _dearer("119"), True),
        # Its unit is another: a yes to credit says nothing of dollars, above the dollars that need no yes.
        (4, _dearer("0.03", Unit.USD), False),
        (4, _dearer("0.025", Unit.USD), True),
        # Nobody was asked for 120 credit; the next one costs more than needs no yes.
        (1, _dearer("201"), False),
        (1, _dearer("200"), True),
    ],
)
async def test_the_next_one_costs_no_more_than_a_person_agreed_to_or_need_not_be_asked_about(
    tmp_path: Path, images: int, second: Scripted, serves: bool
) -> None:
    job = await _asked(tmp_path, _four_refused(), second, replace(EDIT, num_images=images), ASKING)
    assert (job.status is JobStatus.COMPLETED, len(second.creates) == images) == (serves, serves)
    assert job.provider == ("fal" if serves else "core.today")


@pytest.mark.parametrize(
    ("caps", "most"),
    [
        (Caps(daily={}, per_call={}, confirm_above={Unit.CREDIT: Decimal(130)}), 360),
        (Caps(daily={}, per_call={Unit.CREDIT: Decimal(370)}, confirm_above={}), 370),
    ],
    ids=["agreed", "capped"],
)
async def test_sends_that_are_passed_on_one_by_one_are_held_to_the_calls_limit_together(
    tmp_path: Path, caps: Caps, most: int
) -> None:
    """Three at 120 credit were agreed to or allowed; each may cost 130 by itself, and three at 130 are too much."""
    first = Scripted(creates=[SubmitFailed(Verdict.REFUSED, OutOfCredit("no", fix="credit").failure)])
    second = _dearer("130")
    job = await _asked(tmp_path, first, second, replace(EDIT, num_images=3), caps)
    assert len(job.sends) == 3
    assert 130 * len(second.creates) <= most

"""Jobs, sends and outputs as a store takes them, with every fact that does not matter filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kontext_tools.budget import Caps, Price, Unit
from kontext_tools.edits import Edit
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import Job, Output, Send, SendState, Source
from kontext_tools.stores.base import Admission, Claim
from support.fake_clock import START

if TYPE_CHECKING:
    from support.places import AnyStore

FOUR_CENTS = Price(amount=Decimal("0.04"), unit=Unit.USD)


def usd(amount: str) -> Price:
    """Give a price in dollars."""
    return Price(amount=Decimal(amount), unit=Unit.USD)


def a_send(job_id: str, n: int = 1, **facts: Any) -> Send:
    """Give a queued send, due at the start of time."""
    made: dict[str, Any] = {
        "job_id": job_id,
        "provider": "fal",
        "n": n,
        "price": FOUR_CENTS,
        "due_at": START,
        "first_output": n,
    }
    return Send(**(made | facts))


def a_job(job_id: str = "red-car-4k7q", *, sends: int = 1, price: Price = FOUR_CENTS, **facts: Any) -> Job:
    """Give a job that nobody repeats: its fingerprint is its id unless one is given."""
    defaults: dict[str, Any] = {
        "owner": "ann",
        "tool": "generate_image",
        "edit": Edit(prompt="a red car", aspect_ratio="1:1"),
        "sent_prompt": "a red car",
        "request": {"input": {"prompt": "a red car"}},
        "provider": "fal",
        "model": "fal-ai/flux-pro/kontext",
        "created_at": START,
        "fingerprint": job_id,
        "sends": tuple(
            a_send(job_id, n, price=price, provider=facts.get("provider", "fal")) for n in range(1, sends + 1)
        ),
    }
    return Job(id=job_id, **(defaults | facts))


def an_output(n: int = 1, job_id: str = "red-car-4k7q", **facts: Any) -> Output:
    """Give a kept image."""
    of_it = ImageFacts(media_type="image/png", width=64, height=48, size_bytes=1234, sha256="ab" * 32)
    made: dict[str, Any] = {"n": n, "facts": of_it, "blob": f"images/{job_id}-{n}.png"}
    return Output(**(made | facts))


async def admit(
    store: AnyStore, job: Job, *, caps: Caps | None = None, now: datetime = START, nonce: str | None = None
) -> Admission:
    """Record a job at the price of its sends."""
    first = job.sends[0].price
    price = first.times(len(job.sends))
    return await store.admit(job, caps=caps or Caps.none(), price=price, now=now, nonce=nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A claim and the send that it names, as it stood right after."""

    claim: Claim
    send: Send

    @property
    def orphan(self) -> bool:
        """Whether its owner died between the intent and the answer."""
        return self.claim.orphan

    @property
    def barred(self) -> bool:
        """Whether its provider's gate is closed."""
        return self.claim.barred

    @property
    def probe(self) -> bool:
        """Whether it tries a closed gate."""
        return self.claim.probe


async def claim_all(
    store: AnyStore,
    process: str = "one",
    *,
    now: datetime = START,
    lease_until: datetime,
    limit: int = 100,
    slots: int = 100,
) -> list[Taken]:
    """Claim what is due, with so many slots at every provider that the tests name."""
    by_name: dict[str, int] = {"fal": slots, "bfl": slots}
    claims = await store.claim(process, now=now, lease_until=lease_until, limit=limit, slots=by_name)
    return [Taken(claim=claim, send=await send_of(store, claim)) for claim in claims]


async def keep(
    store: AnyStore,
    job_id: str,
    *,
    prompt: str = "a red car",
    label: str = "",
    stays: str = "",
    second: float = 0,
    images: int = 1,
    owner: str = "ann",
    source: Source | None = None,
) -> None:
    """Record a job, and keep its images at a moment after the start of time."""
    edit = Edit(prompt=prompt, label=label, keep=stays)
    moment = START + timedelta(seconds=second)
    await admit(store, a_job(job_id, owner=owner, edit=edit, source=source, created_at=moment))
    claims = await claim_all(store, lease_until=moment + timedelta(minutes=5), now=moment)
    (send,) = [claim.send for claim in claims if claim.send.job_id == job_id]
    for state in (SendState.INTENT, SendState.SUBMITTED, SendState.READY):
        assert await store.save(replace(send, state=state), now=moment, release=False)
    outputs = [an_output(n, job_id) for n in range(1, images + 1)]
    done = replace(send, state=SendState.COMPLETED)
    assert await store.save(done, now=moment, release=True, outputs=outputs)


async def send_of(store: AnyStore, claim: Claim) -> Send:
    """Give the send that a claim names."""
    job = await store.any_job(claim.job_id)
    assert job is not None
    return job.sends[claim.n - 1]

"""From an edit and its choice of provider to a job that can be recorded; pure but for the drawn id.

What this is: the sends, the composed prompt, the warnings and the two digests by which calls are recognised. What it
is not: recording (`stores`). Above: studio. Below: choosing, inputs, prompting, linting, references, jobs.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

from kontext_tools import prompting, tracing
from kontext_tools.budget import Price
from kontext_tools.choosing import Choice
from kontext_tools.data_uris import as_stored
from kontext_tools.edits import Edit
from kontext_tools.inputs import Input
from kontext_tools.jobs import Job, Send, SendState, Source, SourceKind
from kontext_tools.providers.base import Attachment, Offer, Order
from kontext_tools.questions import Question, Yes
from kontext_tools.references import TAIL_CHARS, new_job_id
from kontext_tools.views import Call

DEEP = 5
"""From so many edits in a row on, a warning says so: each one re-encodes the picture."""
DRAWS_PER_CHAR = 4
MAX_OWN_SEED = 2**31 - 1
"""Fits wherever a seed does, whatever integers the host's model is written in."""
NONCE_BYTES = 16


def draft(
    tool: str, choice: Choice, loaded: Input | None, call: Call, *, key_digest: str, now: datetime, random: Random
) -> Job:
    """Give the job of a call; its `request` is filled in by whoever knows the adapter.

    Args:
        tool: the verb.
        choice: who serves, and the edit as that provider takes it.
        loaded: its source, `None` for a generation.
        call: whose it is, and its request_key.
        key_digest: of the arguments as given.
        now: UTC.
        random: draws the id.
    """
    edit, offer = choice.edit, choice.offer
    source = None if loaded is None else loaded.source
    depth = 0 if loaded is None else loaded.depth + 1
    # An address that we made for our own bytes is another one each time.
    is_remote = source is not None and source.kind is SourceKind.URL
    identity = None if source is None else source.url if is_remote else source.facts and source.facts.sha256
    job_id = _new_id(edit, random, 0)
    return Job(
        id=job_id,
        owner=call.owner,
        tool=tool,
        edit=replace(edit, image=as_stored(edit.image)),
        source=source,
        sent_prompt=prompting.compose(edit.prompt, edit.keep),
        request={},
        provider=offer.name,
        model=offer.model,
        created_at=now,
        depth=depth,
        fingerprint=digest(tool, edit, source=identity),
        request_key=call.request_key,
        key_digest=key_digest,
        sends=tuple(replace(send, own_key=choice.own_key) for send in _sends(job_id, edit, offer, now, random)),
        warnings=tuple(_warnings(choice, depth, source, call)),
    )


def renamed(job: Job, random: Random, draw: int) -> Job:
    """Give the same job under another id, after `draw` ids were taken; the tail grows with the draws."""
    job_id = _new_id(job.edit, random, draw)
    return replace(job, id=job_id, sends=tuple(replace(send, job_id=job_id) for send in job.sends))


def first_order(job: Job, offer: Offer) -> Order:
    """Give the first create of a job as its adapter shows it to people."""
    source = job.source
    picture = None if source is None else Attachment(url=source.url if offer.takes_url else None, facts=source.facts)
    return order_of(job, job.sends[0], picture)


def order_of(job: Job, send: Send, picture: Attachment | None) -> Order:
    """Give what goes out for one send of a job."""
    return Order(
        key=f"{job.id}:{send.n}",
        edit=job.edit,
        prompt=job.sent_prompt,
        seed=send.sent_seed,
        count=send.count,
        image=picture,
    )


def digest(tool: str, edit: Edit, **also: Any) -> str:
    """Give what makes two calls identical: the verb, every parameter, and what else is named. The label is not."""
    return _sha256({"tool": tool, "provider": edit.provider, **edit.parameters(), **also})


def question(job: Job, prices: Sequence[Price], images: int) -> Question:
    """Give what a person is asked before a job of this price is sent; each time with a nonce of its own.

    Args:
        job: as drafted.
        prices: of all that it sends, one for each unit.
        images: how many pictures those are.
    """
    price = " and ".join(map(str, prices))
    asked = {
        "owner": job.owner,
        "call": job.fingerprint,
        "request_key": job.request_key,
        "provider": job.provider,
        "model": job.model,
        "price": price,
    }
    return Question(
        tool=job.tool,
        provider=job.provider,
        images=images,
        price=price,
        prompt=job.edit.prompt,
        yes=Yes(binding=_sha256(asked), nonce=secrets.token_urlsafe(NONCE_BYTES), given=job.key_digest),
    )


def _sha256(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _sends(job_id: str, edit: Edit, offer: Offer, now: datetime, random: Random) -> Iterator[Send]:
    first_output, trace = 1, tracing.current()
    for n, (seed, count) in enumerate(offer.seeds(edit), start=1):
        price = offer.price.times(count)
        yield Send(
            job_id=job_id,
            provider=offer.name,
            n=n,
            seed=seed,
            own_seed=_own_seed(offer, seed, random),
            count=count,
            price=price,
            first_output=first_output,
            due_at=now,
            trace=trace,
        )
        first_output += count


def _own_seed(offer: Offer, seed: int | None, random: Random) -> int | None:
    """Draw a seed where nobody set one and the host lists its jobs: a create whose reply is lost is found by it."""
    return random.randint(1, MAX_OWN_SEED) if seed is None and offer.finds and offer.seed is not None else None


def passed_on(job: Job, send: Send, offer: Offer, *, now: datetime, random: Random) -> Iterator[Send]:
    """Give what takes a send's place at another provider: itself, split where that one makes one image at a time."""
    parts = [send.count] if offer.images_per_send >= send.count else [1] * send.count
    after = len(job.sends)
    for i, count in enumerate(parts):
        seed = None if send.seed is None else send.seed + i
        yield replace(
            send,
            provider=offer.name,
            n=send.n if i == 0 else after + i,
            state=SendState.QUEUED,
            seed=seed,
            own_seed=_own_seed(offer, seed, random),
            count=count,
            price=offer.price.times(count),
            first_output=send.first_output + i,
            due_at=now,
            attempts=0,
            first_attempt_at=None,
        )


def _warnings(choice: Choice, depth: int, source: Source | None, call: Call) -> Iterator[str]:
    yield from choice.warnings
    goes_as_bytes = source is not None and choice.offer.takes_bytes and source.kind is not SourceKind.URL
    if goes_as_bytes and source is not None and source.facts is not None and choice.offer.is_too_large(source.facts):
        yield f"The source was scaled down to {choice.offer.name}'s limit ({choice.offer.input_limit})."
    for name in sorted(choice.edit.given & set(choice.offer.undocumented)):
        yield f"{name} was sent, but {choice.offer.name} does not document it: it may be ignored."
    if choice.offer.note:
        yield choice.offer.note
    if source is not None:
        # Its patterns take milliseconds to compile: not at every start.
        from kontext_tools import linting

        # A first edit from an untouched photo is cheap to repeat; then what is lost adds up.
        edit, broad_matters = choice.edit, depth > 1 or call.dry_run
        yield from map(str, linting.hints(edit.prompt, edit.keep, broad_matters=broad_matters))
    if depth >= DEEP:
        yield f"This is edit {depth} in a row; each one re-encodes the picture. Go back to an earlier one."


def _new_id(edit: Edit, random: Random, draw: int) -> str:
    return new_job_id(edit.label or edit.prompt, random, tail_chars=TAIL_CHARS + draw // DRAWS_PER_CHAR)

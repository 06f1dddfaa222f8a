"""Replicate's wire, and kkiai's, which is Replicate's behind another key.

What this is: predictions of the Kontext models, cancelling, listing and files as Replicate documents them. A
prediction's `urls` name another origin at kkiai, so that a client that follows them is found out. What it is
not: complete where nothing is published: kkiai's errors are half its gateway's and half Replicate's, it cannot
cancel unless a script says so, and never calls. A blocking create (`Prefer: wait`) does
not wait: it answers as if the job had ended. Above: `app`. Below: `replicate_input`, `replicate_files`,
`replicate_reply`, `wire`, `state`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from kontext_server.simulator import calling
from kontext_server.simulator import replicate_files as files
from kontext_server.simulator.giving import stamp
from kontext_server.simulator.pictures import Recipe, size_for
from kontext_server.simulator.reading import json_object
from kontext_server.simulator.replicate_input import (
    DevInput,
    HostedInput,
    cancel_after_seconds,
    envelope,
    model_input,
    wait_seconds,
)
from kontext_server.simulator.replicate_reply import WORDS, prediction, refuse, refuse_at_the_gate
from kontext_server.simulator.state import Accepted, Job, Phase
from kontext_server.simulator.wire import Call, JsonObject, Operation, RefusedError, Wire

PAGE = 100
OUTPUT_SECONDS = 3600.0
CALL_SECRET = "whsec_c2ltdWxhdG9yLXNpZ25zLWl0cy1jYWxscw=="  # noqa: S105  # nobody's
_ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_LIMITS = {"ratelimit-remaining": "599", "ratelimit-reset": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Who serves the predictions.

    Attributes:
        name: the wire's.
        prefix: the wire's.
        created: the HTTP status of a create.
        links: the root that `urls` name; empty for the address that was asked.
        cancels: whether cancelling is documented.
        calls: whether calls at a hook are.
    """

    name: str
    prefix: str
    created: int
    links: str
    cancels: bool
    calls: bool

    async def create(self, call: Call) -> Response:
        """POST /models/{owner}/{name}/predictions."""
        asked = envelope(json_object(call.body))
        path = call.request.path_params
        model = f"{path['owner']}/{path['name']}"
        given = model_input(model, asked.input)
        wait = wait_seconds(call.request.headers.get("prefer", ""))
        patience = cancel_after_seconds(call.request.headers.get("cancel-after", ""))
        deadline = {} if math.isinf(patience) else {"deadline": stamp(call.now + patience)}
        accepted = Accepted(
            wire=self.name,
            model=model,
            input=asked.input,
            asked=asked.model_dump(exclude={"input"}, exclude_unset=True) | deadline,
            recipe=await self._recipe(call, given, seeded="seed" in asked.input),
            id="".join(secrets.choice(_ID_LETTERS) for _ in range(26)),
            output_seconds=OUTPUT_SECONDS,
        )
        job = call.state.accept(accepted, call.fault)
        if call.now + patience < job.ends_at:
            _set_deadline(job, call.now + patience)
        _settle(call, job)
        if asked.webhook and self.calls and "completed" in (asked.webhook_events_filter or ["completed"]):
            await calling.promise(
                call,
                job,
                calling.Promise(
                    url=asked.webhook,
                    tells=lambda: self._told(call, job, word=job.word),
                    signs=lambda letter: calling.standard(letter, CALL_SECRET),
                ),
            )
        headers = dict(_LIMITS)
        # However quick the job is, a create that does not block has never been seen to say more than `starting`.
        reply = await self._told(call, job, phase=Phase.WAITING)
        if wait is not None:
            headers["preference-applied"] = f"wait={wait}"
            if job.ending is Phase.DONE and job.ends_at - call.now <= wait:
                job.works_from = job.ends_at = call.now
                reply = await self._told(call, job, early=True)
        return JSONResponse(reply, self.created, headers)

    async def get(self, call: Call) -> Response:
        """GET /predictions/{id}."""
        job = self._job(call)
        if call.fault.fault == "status":
            return JSONResponse(await self._told(call, job, word=call.fault.status), headers=_LIMITS)
        if call.fault.fault == "early_output":
            return JSONResponse(await self._told(call, job, early=True), headers=_LIMITS)
        job.suffer(call.fault, call.now)
        _settle(call, job)
        return JSONResponse(await self._told(call, job, word=job.word), headers=_LIMITS)

    async def cancel(self, call: Call) -> Response:
        """POST /predictions/{id}/cancel: the prediction, canceled unless it had ended."""
        if not self.cancels and call.fault.fault != "cancel_works":
            raise RefusedError(404, WORDS[404])
        job = self._job(call)
        if call.fault.fault != "cancel_ignored":
            job.end(Phase.CANCELLED, call.now)
        return JSONResponse(await self._told(call, job, word=job.word), headers=_LIMITS)

    async def list_jobs(self, call: Call) -> Response:
        """GET /predictions: newest first, 100 a page."""
        query = call.request.query_params
        after, before = (_seconds(query, name) for name in ("created_after", "created_before"))
        jobs = [
            job
            for job in reversed(call.state.jobs.values())
            if job.wire == self.name
            and (after is None or job.created_at >= after)
            and (before is None or job.created_at <= before)
        ]
        start = _cursor(query.get("cursor", "0"))
        ends = {"previous": start - PAGE, "next": start + PAGE}
        pages = {
            name: str(call.request.url.include_query_params(cursor=at)) if 0 <= at < len(jobs) else None
            for name, at in ends.items()
        }
        shown = jobs[start : start + PAGE]
        told = [await self._told(call, job, word=job.word) | {"source": "api"} for job in shown]
        return JSONResponse(pages | {"results": told})

    async def _recipe(self, call: Call, given: HostedInput | DevInput, *, seeded: bool) -> Recipe:
        source, size = b"", None
        if given.input_image:
            source, size = await files.picture_of(call, self.prefix, given.input_image)
        return Recipe(
            prompt=given.prompt,
            seed=str(given.seed) if seeded else "",
            size=size_for(given.aspect_ratio, size),
            source=source,
            format=given.output_format,
        )

    def _job(self, call: Call) -> Job:
        job = call.state.jobs.get(call.request.path_params["id"])
        if job is None or job.wire != self.name:
            raise RefusedError(404, "The requested resource could not be found.")
        return job

    async def _told(
        self, call: Call, job: Job, *, word: str | None = None, phase: Phase | None = None, early: bool = False
    ) -> JsonObject:
        links = self.links or call.root + self.prefix
        return await prediction(call, job, links, word=word, phase=phase, early=early)


async def call_secret(_: Call) -> Response:
    """GET /webhooks/default/secret: what the account's calls are signed with."""
    return JSONResponse({"key": CALL_SECRET}, headers=_LIMITS)


def _settle(call: Call, job: Job) -> None:
    """Who is aborted before he starts is not charged."""
    if job.fate == "aborted":
        call.state.refund(job)


def _set_deadline(job: Job, deadline: float) -> None:
    """Let a job end at its deadline: aborted where it waits even then, otherwise canceled."""
    job.fate = "aborted" if deadline < job.works_from else ""
    job.ending, job.ends_at, job.error = Phase.CANCELLED, deadline, None
    job.works_from = min(job.works_from, deadline)


def _seconds(query: Any, name: str) -> float | None:
    if name not in query:
        return None
    try:
        read = datetime.fromisoformat(query[name])
    except ValueError as error:
        raise RefusedError(422, f"{name}: must be an ISO 8601 timestamp") from error
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _cursor(sent: str) -> int:
    if not sent.isascii() or not sent.isdigit():
        raise RefusedError(422, "cursor: invalid")
    return int(sent)


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _operations(house: House) -> Iterable[Operation]:
    yield Operation(on="create", method="POST", path="/models/{owner}/{name}/predictions", handler=house.create)
    yield Operation(on="get", method="GET", path="/predictions/{id}", handler=house.get)
    yield Operation(on="cancel", method="POST", path="/predictions/{id}/cancel", handler=house.cancel)


_REPLICATE = House(name="replicate", prefix="/replicate/v1", created=201, links="", cancels=True, calls=True)
_KKIAI = House(
    name="kkiai",
    prefix="/kkiai/replicate/v1",
    created=200,
    links="https://api.replicate.com/v1",
    cancels=False,
    calls=False,
)

WIRE = Wire(
    name=_REPLICATE.name,
    prefix=_REPLICATE.prefix,
    base_variable="REPLICATE_BASE_URL",
    key_variable="REPLICATE_API_TOKEN",
    sample_key="r8_simulator",
    read_key=_bearer,
    takes_key=lambda key: key.startswith("r8_"),
    refuse=refuse,
    operations=(
        *_operations(_REPLICATE),
        Operation(on="list", method="GET", path="/predictions", handler=_REPLICATE.list_jobs),
        Operation(on="account", method="GET", path="/webhooks/default/secret", handler=call_secret),
        *files.OPERATIONS,
    ),
    words=WORDS,
)
"""Replicate, as `app.WIRES` lists it."""

KKIAI = Wire(
    name=_KKIAI.name,
    prefix=_KKIAI.prefix,
    base_variable="KKIAI_BASE_URL",
    key_variable="KKIAI_API_KEY",
    sample_key="kkiai_simulator",
    read_key=_bearer,
    takes_key=bool,
    refuse=refuse_at_the_gate,
    operations=tuple(_operations(_KKIAI)),
)
"""kkiai, as `app.WIRES` lists it."""

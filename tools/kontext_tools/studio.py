"""The verbs, named as the tools are: one search for `edit_image` finds the face and the work.

What this is: one call as a straight line, from an `Edit` to a recorded job and the wait for news of it. What it is
not: reading what a model sent or writing what it reads (`kontext_server.surface`), nor the work itself (`engine`).
Above: surface, cli. Below: engine, admitting, gallery (what only reads images), inputs, choosing, stores.base.

The call going away ends the wait, never the job.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

from kontext_tools import drafting
from kontext_tools.accounts import Party
from kontext_tools.admitting import Admitting
from kontext_tools.budget import Spending, Unit
from kontext_tools.clocks import Clock
from kontext_tools.edits import Edit
from kontext_tools.engine import Engine
from kontext_tools.errors import InvalidArgument, KontextError
from kontext_tools.finding import Search
from kontext_tools.fitting import Fitted
from kontext_tools.forgetting import Forgetting, Forgotten, OnGone
from kontext_tools.gallery import Finds, Gallery, Picture
from kontext_tools.inputs import Inputs, require_prompt
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.lineage import Lineage
from kontext_tools.lookup import find_job
from kontext_tools.planner import Planner
from kontext_tools.planning import Asked, Planning, not_a_plan
from kontext_tools.providers.base import Offer
from kontext_tools.serving import Serving
from kontext_tools.stores.base import Store
from kontext_tools.stores.forgets import Going, Old
from kontext_tools.stores.journal import Mark, Tidings
from kontext_tools.stores.repeats import same_key
from kontext_tools.views import Call, Quote, View, eta_s

LOOK_AGAIN_S = 1.0
"""Another process may drive the job: its row is read at least so often while somebody waits."""
CANCEL_WAIT_S = 10.0


class Studio:
    """Every verb over one store, one engine and the configured providers."""

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        planner: Planner,
        planning: Planning,
        serving: Serving,
        admitting: Admitting,
        inputs: Inputs,
        gallery: Gallery,
        forgetting: Forgetting,
        clock: Clock,
    ) -> None:
        self._store = store
        self._engine = engine
        self._planner = planner
        self._planning = planning
        self._serving = serving
        self._admitting = admitting
        self._inputs = inputs
        self._gallery = gallery
        self._forgetting = forgetting
        self._clock = clock
        self._waits = True

    @property
    def offers(self) -> dict[str, Offer]:
        """What each configured provider can do and costs, the sandbox last."""
        return self._serving.offers

    async def party(self, owner: str) -> Party:
        """Give who would serve an owner, and by whose key."""
        return await self._serving.party(owner)

    def stop_waiting(self) -> None:
        """Let every call that waits answer with its job as it stands, within a second: this process is to end."""
        self._waits = False

    async def edit_image(self, edit: Edit, call: Call) -> View | Quote:
        """Edit a picture. Raises any refusal of the tree, before anything is sent."""
        assert edit.image is not None
        return await self._start("edit_image", edit, call)

    async def generate_image(self, edit: Edit, call: Call) -> View | Quote:
        """Make a picture from words alone. Raises any refusal of the tree, before anything is sent."""
        assert edit.image is None
        return await self._start("generate_image", edit, call)

    async def run_plan(self, asked: Asked, call: Call) -> View | Quote:
        """Carry out several edits, each from the outputs of others. Raises any refusal of the tree, before anything is
        sent.
        """
        earlier = await self._plan(call.owner, asked.resume) if asked.resume else None
        if call.dry_run:
            return await self._planning.quote(asked, earlier, call)
        admission = await self._planning.admit(asked, earlier, call)
        self._planner.wake()
        return await self._wait(admission.job, call, joined=admission.joined)

    async def get_status(self, job_id: str, call: Call) -> View:
        """Give a job as it stands, or as it stands once it ended or `wait_s` ran out.

        Raises:
            NotFound: no such job of this owner.
        """
        job = await find_job(self._store, call.owner, job_id)
        for part in _jobs_of(job):
            if any(send.failure is not None for send in part.sends if not send.state.ended):
                # It waits for space on the disk: the person who asks may just have made some.
                await self._store.poke(part.id, now=self._clock.now())
                self._engine.wake()
        return await self._wait(job, call)

    async def job(self, owner: str, job_id: str) -> View:
        """Give a job as it stands, to somebody who looks: what a call waits for counts as answered by a call alone.

        Raises:
            NotFound: no such job of this owner.
        """
        return self._view(await find_job(self._store, owner, job_id))

    async def cancel_job(self, job_id: str, call: Call) -> tuple[View, str]:
        """Cancel a job; give it and the outcome: `cancelled`, `cannot_cancel` or `already_ended`.

        Raises:
            NotFound: no such job of this owner.
        """
        job = await find_job(self._store, call.owner, job_id)
        if job.status.ended:
            outcome = "cannot_cancel" if job.status is JobStatus.UNKNOWN else "already_ended"
            return self._view(job), outcome
        job = await self._store.request_cancel(call.owner, job.id, now=self._clock.now()) or job
        accepted: list[bool] = []
        if not job.status.ended:
            self._planner.wake()
            parts = _jobs_of(job)
            sends = [send for part in parts for send in part.sends]
            in_doubt = job.plan is not None or any(send.state in _IN_DOUBT for send in sends)
            accepted = [await self._engine.cancel(part.id) for part in parts if not part.status.ended]
            if all(accepted) or in_doubt:
                view = await self._wait(job, replace(call, wait_s=CANCEL_WAIT_S))
                job = view.job
        if job.plan is not None:
            return self._view(job), "cancelled" if job.status.ended and all(accepted) else "cannot_cancel"
        outcomes = {JobStatus.CANCELLED: "cancelled", JobStatus.COMPLETED: "already_ended"}
        if job.status is JobStatus.FAILED:
            return self._view(job), "already_ended"
        return self._view(job), outcomes.get(job.status, "cannot_cancel")

    async def find_images(self, owner: str, search: Search, *, limit: int, cursor: str = "") -> Finds:
        """Give a page of the owner's images that a search means. Raises `InvalidArgument`, `UnknownRef`."""
        return await self._gallery.find_images(owner, search, limit=limit, cursor=cursor)

    async def view_images(
        self, owner: str, refs: Sequence[str], *, longest_px: int, most_bytes: int
    ) -> tuple[tuple[Picture, ...], Fitted]:
        """Give own images and a JPEG of each, in order. Raises `UnknownRef`, `ResultInvalid`."""
        return await self._gallery.view_images(owner, refs, longest_px=longest_px, most_bytes=most_bytes)

    async def lineage(self, owner: str, text: str) -> Lineage:
        """Give what an own image was made from, and what was made from it. Raises `UnknownRef`."""
        return await self._gallery.lineage(owner, text)

    async def resolve(self, owner: str, job_id: str, *, charged: bool) -> View:
        """Write what a person found out about a job that ended `unknown`; only a person decides that.

        Raises:
            NotFound: no such job of this owner.
            InvalidArgument: it is not unknown.
        """
        job = await find_job(self._store, owner, job_id)
        if not any(send.state is SendState.UNKNOWN for send in job.sends):
            lost = [part.id for part in _jobs_of(job) if part.status is JobStatus.UNKNOWN]
            raise InvalidArgument(
                f"{job.id} has no send of its own that is unknown; there is nothing to resolve.",
                fix=f"Resolve its steps one by one: {', '.join(lost)}."
                if job.plan is not None and lost
                else f"Look at it with get_status(job_id='{job.id}').",
                field="job_id",
            )
        return self._view(await self._store.resolve(owner, job.id, charged=charged, now=self._clock.now()) or job)

    async def to_delete(self, owner: str, names: Sequence[str]) -> Going:
        """Give what goes with jobs that a person names. Raises `NotFound`, `InvalidArgument` where one must stay."""
        return await self._forgetting.meant(owner, names)

    async def delete(self, owner: str, job_ids: Sequence[str]) -> Forgotten:
        """Delete jobs that ended, all or none; only a person decides that. Raises `NotFound`, `InvalidArgument`."""
        return await self._forgetting.forget(owner, job_ids)

    async def to_prune(self, owner: str, older_than: str) -> Old:
        """Give what can go of all that ended before a moment, such as `90d`. Raises `InvalidArgument`."""
        return await self._forgetting.old(owner, older_than)

    async def prune(self, owner: str, old: Old, on_gone: OnGone) -> Forgotten:
        """Delete what was found to be old; only a person decides that."""
        return await self._forgetting.prune(owner, old, on_gone)

    async def usage(self, owner: str, *, days: int = 30) -> tuple[Sequence[Spending], Mapping[Unit, Decimal]]:
        """Give what was spent or reserved by day and provider, and what is left of today's budget by unit."""
        return await self._store.usage(owner, days=days), await self._admitting.left(owner)

    async def jobs(self, owner: str, *, limit: int) -> Sequence[View]:
        """Give the owner's newest jobs."""
        return [self._view(job) for job in await self._store.jobs(owner, limit=limit)]

    async def job_ids(self, owner: str, *, limit: int) -> Sequence[str]:
        """Give the ids of the owner's newest jobs."""
        return await self._store.recent_ids(owner, limit=limit)

    async def tidings(self, since: Mark | None) -> Tidings:
        """Give what happened since a mark, to every owner's jobs, in this process and others; from `None` the mark."""
        return await self._store.tidings(since)

    async def image(self, owner: str, text: str) -> tuple[bytes, str]:
        """Give an own image's bytes as delivered, and their media type. Raises `UnknownRef`, `ResultInvalid`."""
        return await self._gallery.image(owner, text)

    async def picture(self, owner: str, text: str) -> Picture:
        """Give an own image's facts without reading its bytes. Raises `UnknownRef`."""
        return await self._gallery.picture(owner, text)

    async def thumb(self, owner: str, text: str) -> bytes:
        """Give a small WebP of an own image, made once. Raises `UnknownRef`, `ResultInvalid`."""
        return await self._gallery.thumb(owner, text)

    async def preview(self, job: Job, longest_px: int) -> bytes | None:
        """Give one JPEG of a job's images, several on a contact sheet; `None` where there is none to show."""
        return await self._gallery.preview(job, longest_px)

    async def preview_of(self, owner: str, text: str, longest_px: int) -> bytes:
        """Give a JPEG of an own image. Raises `UnknownRef`, `ResultInvalid`."""
        return await self._gallery.preview_of(owner, text, longest_px)

    async def _start(self, tool: str, edit: Edit, call: Call) -> View | Quote:
        require_prompt(edit.prompt)
        digest = call.yes.given if call.yes is not None else drafting.digest(tool, edit, image=edit.image)
        if call.request_key and not call.dry_run:
            earlier = await self._store.job_of_key(call.owner, call.request_key)
            if earlier is not None:
                return await self._wait(same_key(earlier, digest), call, joined=True)
        load = None if edit.image is None else partial(self._inputs.load, call.owner, edit.image)
        drafted = await self._serving.draft(tool, edit, load, call, key_digest=digest)
        if call.dry_run:
            return await self._admitting.quote(drafted.job, [drafted.price])
        admission = await self._admitting.admit(drafted.job, drafted.price, call.yes)
        self._engine.wake()
        return await self._wait(admission.job, call, joined=admission.joined)

    async def _wait(self, job: Job, call: Call, *, joined: bool = False) -> View:
        deadline = self._clock.monotonic() + call.wait_s
        while True:
            with self._engine.news_of(job.id) as event:
                job = await self._store.job(call.owner, job.id) or job
                left_s = deadline - self._clock.monotonic()
                if job.settled:
                    # Not being able to note it is cheap: an identical call would join this job once more.
                    with contextlib.suppress(KontextError):
                        await self._store.mark_delivered(job.id)
                    return self._view(job, joined=joined)
                if left_s <= 0 or not self._waits:
                    return self._view(job, joined=joined)
                if call.on_news is not None:
                    await call.on_news(self._view(job, joined=joined))
                await self._clock.wait(event, min(left_s, LOOK_AGAIN_S))

    def _view(self, job: Job, *, joined: bool = False) -> View:
        now = self._clock.now()
        typical = {name: offer.typical_s for name, offer in self.offers.items()}
        return View(job=job, joined=joined, eta_s=None if job.status.ended else eta_s(job, typical, now), at=now)

    async def _plan(self, owner: str, job_id: str) -> Job:
        job = await find_job(self._store, owner, job_id, field="resume_job_id")
        if job.plan is None:
            raise not_a_plan(job)
        return job


_IN_DOUBT = (SendState.QUEUED, SendState.INTENT)


def _jobs_of(job: Job) -> list[Job]:
    """Give a job's own sends' holder: itself, or those that a plan has made."""
    return [job] if job.plan is None else [run.job for run in job.runs if run.job is not None and not run.carried]

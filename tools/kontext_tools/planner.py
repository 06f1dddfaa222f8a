"""The planner moves plans: starts the steps whose pictures are there, skips what waits for what did not come.

What this is: the driver of plans, one per process beside the engine, started with the server's life and never by a
request; after a restart a plan goes on by itself. What it is not: the rules (`runs`), the way into a plan (`planning`)
or the driving of a step's job (`engine`). Above: studio. Below: engine, serving, admitting, stores.base.

A step's job takes its run's place in the plan in the transaction that records it. So two processes that move one plan
at once, or one that is killed anywhere, start nothing twice.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import anyio
from anyio.abc import TaskGroup

from kontext_tools.admitting import Admitting
from kontext_tools.clocks import Clock
from kontext_tools.costs import agreed
from kontext_tools.edits import Edit
from kontext_tools.engine import Engine
from kontext_tools.errors import KontextError, StorageBusy, StorageDamaged, StorageFull
from kontext_tools.inputs import Input, Inputs
from kontext_tools.jobs import Job
from kontext_tools.plans import Part, Step
from kontext_tools.runs import Leave, Start, moves
from kontext_tools.serving import Load, Serving
from kontext_tools.stores.base import Store
from kontext_tools.views import Call

LEASE_S = 10.0
"""So long the plan of a process that died is left alone. A move that takes longer is joined by another process's, which
is safe."""
LOOK_AGAIN_S = 5.0
"""A step that ends makes its plan due at once; this is for what no step tells, such as a search that was given up."""
IDLE_LOOK_S = 1.0
"""How often a process looks for plans that a step in another one made due, or that a dead process left."""
MAX_MOVED = 16

log = logging.getLogger(__name__)


class Planner:
    """Moves every owner's plans."""

    def __init__(
        self, store: Store, engine: Engine, serving: Serving, inputs: Inputs, admitting: Admitting, clock: Clock
    ) -> None:
        self._store = store
        self._engine = engine
        self._serving = serving
        self._inputs = inputs
        self._admitting = admitting
        self._clock = clock
        self._process = secrets.token_hex(16)
        self._wake = anyio.Event()
        self._any_open = True
        engine.tells(self._heard)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Move plans for as long as the block lasts; leaving it stops at once, wherever the work stands."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run, tasks)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    def wake(self) -> None:
        """Look at the store now: a plan was recorded, or a step may have ended."""
        self._wake.set()

    def _heard(self, _: str) -> None:
        """A job changed in this process: it may be a step, if there is a plan at all."""
        if self._any_open:
            self.wake()

    async def _run(self, tasks: TaskGroup) -> None:
        while True:
            self._wake = anyio.Event()
            try:
                due = await self._claim()
            except KontextError as error:
                log.warning("the plans cannot be read: %s", error.failure.code)
                due = ()
            for plan_id in due:
                tasks.start_soon(self._move, plan_id)
            await self._clock.wait(self._wake, IDLE_LOOK_S)

    async def _claim(self) -> Sequence[str]:
        """Take what is due; the lock is asked for only then."""
        next_due, now = await self._store.next_plan_due(), self._clock.now()
        self._any_open = next_due is not None
        if next_due is None or next_due > now:
            return ()
        return await self._store.claim_plans(
            self._process,
            now=now,
            lease_until=now + timedelta(seconds=LEASE_S),
            again_at=now + timedelta(seconds=LOOK_AGAIN_S),
            limit=MAX_MOVED,
        )

    async def _move(self, plan_id: str) -> None:
        """Do all that can be done for a plan now, then give it back."""
        try:
            while (job := await self._store.any_job(plan_id)) is not None and (
                decided := moves(job, self._clock.now())
            ):
                for move in decided:
                    await self._decide(job, move)
            await self._store.rest_plan(self._process, plan_id, now=self._clock.now())
        except (StorageBusy, StorageFull, StorageDamaged) as error:
            # It is due again by itself; its job says so to whoever asks.
            log.warning("a move of %s stopped: %s", plan_id, error.failure.code)
        except Exception:
            log.exception("a move of %s broke", plan_id)
        finally:
            self._engine.tell(plan_id)

    async def _decide(self, job: Job, move: Start | Leave) -> None:
        if isinstance(move, Leave):
            await self._store.leave_run(job.id, move.step.id, move.run, failure=move.failure)
            return
        try:
            await self._start(job, move)
        except (StorageBusy, StorageFull, StorageDamaged):
            raise
        except KontextError as error:
            await self._store.leave_run(job.id, move.step.id, move.run, failure=error.failure)

    async def _start(self, job: Job, move: Start) -> None:
        plan = job.plan
        assert plan is not None
        edit, load = self._source_of(job.owner, move)
        drafted = await self._serving.draft(move.step.tool, edit, load, Call(owner=job.owner))
        part = Part(plan_id=job.id, step=move.step.id, run=move.run)
        if plan.agreed:
            # What was started a moment ago counts as well.
            job = await self._store.any_job(job.id) or job
        step_job = replace(drafted.job, part=part, agreed=agreed(job, drafted.price))
        await self._admitting.admit(step_job, drafted.price, None)
        self._engine.wake()

    def _source_of(self, owner: str, move: Start) -> tuple[Edit, Load | None]:
        edit, step = move.step.edit, move.step
        if move.ref is not None:
            return replace(edit, image=move.ref), partial(self._inputs.load, owner, move.ref)
        return edit, None if step.source is None else partial(_loaded, step)


async def _loaded(step: Step) -> Input:
    assert step.source is not None
    return Input(source=step.source, depth=step.depth)

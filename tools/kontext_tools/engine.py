"""The engine moves jobs: claims what is due, submits once, looks again, archives, wakes who waits.

What this is: the driver of the sends' state machine, one per process, started with the server's life and never by a
request. A waiting job is a row, not a coroutine. What it is not: the rules of one step (`steps`), of moves (`jobs`) or
of time (`pacing`). Above: studio. Below: accounts, steps, hearing, stores.base.

End of stdin, SIGTERM, SIGINT and `kill -9` are all the same kind of event here: nothing needs to be finished, for
every step first writes what it is about to do.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import anyio
from anyio.abc import TaskGroup

from kontext_tools.accounts import Accounts
from kontext_tools.clocks import Clock
from kontext_tools.errors import KontextError, NotConfigured, StorageDamaged
from kontext_tools.hearing import Hearing
from kontext_tools.hooks import Place
from kontext_tools.jobs import SendState
from kontext_tools.providers.base import CancelOutcome, FetchFailed, Provider
from kontext_tools.steps import Steps
from kontext_tools.stores.base import Claim, Store

LEASE_S = 10.0
RENEW_EVERY_S = 3.0
RELEASE_WITHIN_S = 0.5
IDLE_LOOK_S = 1.0
"""How often a process looks for what another one left: jobs of the dead, sends that wait for a slot."""
MAX_DRIVEN = 64
STOPPED_AGAIN_S = 10.0
"""A step that could not be ended, for the store failed or a bug broke it, is taken again so much later."""
DAMAGED_AGAIN_S = 120.0
SET_BACK_S = 1.0
"""A wall clock that went back so far against the monotonic one was set back; less is the usual correction."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stopped:
    """A claim whose step did not end, to be given back."""

    claim: Claim
    again_s: float = STOPPED_AGAIN_S
    aside: bool = False


class Engine:
    """Drives every owner's sends.

    Args:
        store: where they live.
        accounts: by whose key a provider is asked.
        steps: what one step does.
        clock: what it lives by.
    """

    def __init__(self, store: Store, accounts: Accounts, steps: Steps, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._steps = steps
        self._clock = clock
        self._process = secrets.token_hex(16)
        self._wake = anyio.Event()
        self._driving = Counter[tuple[str, int]]()
        self._heard_amid: set[tuple[str, int]] = set()
        self._stopped: list[_Stopped] = []
        self._waiting: dict[str, set[anyio.Event]] = defaultdict(set)
        self._listeners: list[Callable[[str], None]] = []
        self.hearing = Hearing(store, self.tell, clock)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Drive for as long as the block lasts; leaving it stops at once, wherever the work stands."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._run, tasks)
                tasks.start_soon(self._renew)
                tasks.start_soon(self.hearing.run)
                try:
                    yield
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            # A courtesy to the next process, which would else wait for the leases to end.
            with anyio.move_on_after(RELEASE_WITHIN_S, shield=True), suppress(KontextError):
                await self._store.release(self._process)

    @property
    def driving(self) -> int:
        """How many sends it drives at this moment, at most `MAX_DRIVEN`."""
        return self._driving.total()

    def wake(self) -> None:
        """Look at the store now: something was recorded or poked."""
        self._wake.set()

    @contextmanager
    def news_of(self, job_id: str) -> Generator[anyio.Event]:
        """Give an event that is set at the job's next change in this process, or one elsewhere that was heard of."""
        event = anyio.Event()
        self._waiting[job_id].add(event)
        try:
            yield event
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def tells(self, listener: Callable[[str], None]) -> None:
        """Call a listener with the job's id at every change of a job in this process."""
        self._listeners.append(listener)

    def tell(self, job_id: str) -> None:
        """Wake who waits for a job: it changed."""
        for event in self._waiting.get(job_id, ()):
            event.set()
        for listener in self._listeners:
            listener(job_id)

    async def cancel(self, job_id: str) -> bool:
        """Ask the provider to cancel every send that is there; false where it cannot or would not."""
        job = await self._store.any_job(job_id)
        if job is None:
            return False
        accepted = True
        for send in job.sends:
            if send.state is not SendState.SUBMITTED or send.remote_id is None:
                continue
            try:
                provider = await self._accounts.adapter(job.owner, send)
                outcome = await provider.cancel(send.remote_id)
            except (FetchFailed, NotConfigured):
                outcome = CancelOutcome.CANNOT
            accepted = accepted and outcome is not CancelOutcome.CANNOT
        await self._poke(job_id)
        return accepted

    async def provider_of(self, place: Place) -> Provider | None:
        """Give the adapter that a hook's send is driven by; `None` where the send or its key is there no more."""
        return await self._steps.provider_of(place)

    async def heard(self, place: Place, remote_id: str | None) -> None:
        """Look at a send now, for its host called.

        Raises:
            FetchFailed: as for `Steps.heard`.
        """
        if not await self._steps.heard(place, remote_id):
            return
        if (place.job_id, place.n) in self._driving:
            self._heard_amid.add((place.job_id, place.n))
        await self._poke(place.job_id)

    async def _poke(self, job_id: str) -> None:
        await self._store.poke(job_id, now=self._clock.now())
        self.wake()

    async def _run(self, tasks: TaskGroup) -> None:
        try:
            await self._steps.sweep()
        except KontextError as error:
            log.warning("what dead processes left was not swept: %s", error.failure.code)
        ahead_s = float("inf")
        while True:
            self._wake = anyio.Event()
            try:
                ahead_s = await self._set_right(ahead_s)
                claims = await self._claim()
                idle_s = 0.0 if claims else await self._idle_s()
            except KontextError as error:
                # The store is busy or unsound: it says so to whoever calls; the engine looks again later.
                log.warning("the store cannot be read: %s", error.failure.code)
                claims, idle_s = [], IDLE_LOOK_S
            for claim in claims:
                self._driving[claim.job_id, claim.n] += 1
                tasks.start_soon(self._drive, claim)
            await self._clock.wait(self._wake, idle_s)

    async def _set_right(self, ahead_s: float) -> float:
        """Mend the times in the rows where the wall clock was set back; rows of before the start may need it too.

        Args:
            ahead_s: how far the wall clock was ahead of the monotonic one at the last look.
        """
        now = self._clock.now()
        ahead_now_s = now.timestamp() - self._clock.monotonic()
        if ahead_now_s < ahead_s - SET_BACK_S:
            await self._store.set_right(now=now, lease_until=now + timedelta(seconds=LEASE_S))
        return ahead_now_s

    async def _claim(self) -> list[Claim]:
        room = MAX_DRIVEN - self._driving.total()
        if room <= 0:
            return []
        now = self._clock.now()
        slots = {name: offer.concurrency for name, offer in self._accounts.offers.items()}
        lease_until = now + timedelta(seconds=LEASE_S)
        return list(await self._store.claim(self._process, now=now, lease_until=lease_until, limit=room, slots=slots))

    async def _idle_s(self) -> float:
        due = await self._store.next_due(self._accounts.offers)
        if due is None:
            return IDLE_LOOK_S
        wait_s = (due - self._clock.now()).total_seconds()
        # What is overdue and was not claimed waits for a slot: it comes at the wake of the step that frees one.
        return min(wait_s, IDLE_LOOK_S) if wait_s > 0 else IDLE_LOOK_S / 4

    async def _drive(self, claim: Claim) -> None:
        job_id = claim.job_id
        try:
            await self._steps.drive(claim)
        except StorageDamaged:
            # Its job says so to whoever asks. It is tried again, for a person may have mended it, but not soon.
            log.warning("a row of %s is damaged and is left alone", job_id)
            self._stopped.append(_Stopped(claim=claim, again_s=DAMAGED_AGAIN_S, aside=True))
        except KontextError as error:
            log.warning("a step of %s stopped: %s", job_id, error.failure.code)
            self._stopped.append(_Stopped(claim=claim))
        except Exception:
            log.exception("a step of %s broke", job_id)
            self._stopped.append(_Stopped(claim=claim))
        finally:
            self._driving -= Counter({(job_id, claim.n): 1})
            self.tell(job_id)
            self.wake()
        await self._give_back()
        if (job_id, claim.n) in self._heard_amid:
            # What this step asked may have been answered before the host's news: the call stands for another look.
            self._heard_amid.discard((job_id, claim.n))
            with suppress(KontextError):
                await self._poke(job_id)

    async def _give_back(self) -> None:
        """Give back what a step did not: its lease would else be renewed with the others, and the send stay stuck."""
        while self._stopped:
            stopped = self._stopped.pop()
            again = self._clock.now() + timedelta(seconds=stopped.again_s)
            try:
                await self._store.give_back(stopped.claim, due_at=again, aside=stopped.aside)
            except KontextError as error:
                log.warning("a lease was not given back: %s", error.failure.code)
                self._stopped.append(stopped)
                return

    async def _renew(self) -> None:
        never = anyio.Event()
        while True:
            await self._clock.wait(never, RENEW_EVERY_S)
            await self._give_back()
            if not self._driving.total():
                continue
            try:
                await self._store.renew(self._process, until=self._clock.now() + timedelta(seconds=LEASE_S))
            except KontextError as error:
                log.warning("the leases were not renewed: %s", error.failure.code)

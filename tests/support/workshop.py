"""A whole toolkit on a data folder of its own, with a scripted provider and a clock that a test moves."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from random import Random

import anyio
from PIL import Image

from kontext_tools.accounts import Accounts
from kontext_tools.admitting import Admitting
from kontext_tools.archive import Archive
from kontext_tools.blobs.base import Blobs
from kontext_tools.blobs.files import FileBlobs
from kontext_tools.budget import Caps
from kontext_tools.edits import Edit
from kontext_tools.engine import Engine
from kontext_tools.forgetting import Forgetting
from kontext_tools.gallery import Gallery
from kontext_tools.guard import Guard
from kontext_tools.hooks import Hooks
from kontext_tools.http import Http
from kontext_tools.inputs import Inputs
from kontext_tools.jobs import Job, SendState
from kontext_tools.meters import UNMETERED, Meter
from kontext_tools.originals import Originals
from kontext_tools.planner import Planner
from kontext_tools.planning import Planning
from kontext_tools.providers.base import Provider, RemoteOutput
from kontext_tools.serving import Serving
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources
from kontext_tools.steps import Steps
from kontext_tools.stores.sqlite import BUSY_S, SqliteStore
from kontext_tools.studio import Studio
from kontext_tools.trash import Trash
from kontext_tools.views import Call, Quote, View
from kontext_tools.waiting import Waiting
from support.fake_clock import FakeClock

OWNER = "ann"


def png(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    """Give a small picture."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def output(colour: str = "red") -> RemoteOutput:
    """Give a finished image whose bytes came with the reply."""
    return RemoteOutput(data=png(colour=colour))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """One process's toolkit."""

    folder: Path
    clock: FakeClock
    store: SqliteStore
    engine: Engine
    planner: Planner
    studio: Studio
    steps: Steps
    archive: Archive

    async def generate(self, prompt: str = "a red car", *, num_images: int = 1, seed: int | None = None) -> View:
        """Ask for a generation and answer at once."""
        edit = Edit(prompt=prompt, aspect_ratio="1:1", num_images=num_images, seed=seed)
        view = await self.studio.generate_image(edit, Call(owner=OWNER))
        assert not isinstance(view, Quote)
        return view

    async def let_pass(self, seconds: float) -> None:
        """Let time pass in one step, and who lives by the clock do what is due then, until they all wait again.

        Work that waits for real time, such as a reply that trickles, gets a fifth of a second.
        """
        standing = self.clock.waiting
        self.clock.advance(seconds)
        await self.store.next_due(())  # whoever was woken runs meanwhile
        with anyio.move_on_after(0.2):
            while self.clock.busy or self.clock.waiting < standing:
                await self.store.next_due(())

    async def until(self, job_id: str, *states: SendState, step_s: float = 0.5) -> Job:
        """Let time pass until every send of a job stands in one of the states."""
        return await self.when(job_id, lambda job: all(send.state in states for send in job.sends), step_s=step_s)

    async def when(self, job_id: str, holds: Callable[[Job], bool], *, step_s: float = 0.5) -> Job:
        """Let time pass until something holds of a job.

        Time stands still while an engine on this clock works, or a busy machine would let it run away from the work:
        leases would lapse that no stopped process held. Work that waits for time itself gets some after a while.
        """
        while True:
            with self.engine.news_of(job_id) as news:
                job = await self.store.any_job(job_id)
                assert job is not None
                if holds(job):
                    return job
                with anyio.move_on_after(0.2 if self.clock.busy else 0.02):
                    await news.wait()
                    continue
            self.clock.advance(step_s)


@asynccontextmanager
async def workshop(
    folder: Path,
    *providers: Provider,
    caps: Caps | None = None,
    clock: FakeClock | None = None,
    roots: list[Path] | None = None,
    guard: Guard | None = None,
    output_dir: Path | None = None,
    preview_px: int = 0,
    running: bool = True,
    busy_s: float = BUSY_S,
    zone: tzinfo = UTC,
    blobs: Blobs | None = None,
    meter: Meter = UNMETERED,
    accounts: Accounts | None = None,
    hooks: Hooks | None = None,
) -> AsyncGenerator[Workshop]:
    """Give a toolkit that drives jobs for as long as the block lasts."""
    clock, random = clock or FakeClock(), Random(7)
    by_name = {provider.offer.name: provider for provider in providers}
    http = Http(guard=guard)
    store, blobs = SqliteStore(folder / "kontext.db", busy_s=busy_s), blobs or FileBlobs(folder)
    sources = Sources(http, roots=roots)
    shelf, trash = Shelf(blobs), Trash(store, blobs)
    originals = Originals(store, blobs, sources, shelf)
    waiting = Waiting(folder / "waiting")
    archive = Archive(
        blobs, shelf, originals, http, clock, trash, waiting, output_dir=output_dir, preview_px=preview_px
    )
    order = [name for name in by_name if name != "sandbox"] or list(by_name)
    caps = caps or Caps.none()
    accounts = accounts or Accounts(by_name, order=order)
    steps = Steps(store, accounts, originals, archive, clock, random, caps=caps, hooks=hooks, meter=meter)
    engine = Engine(store, accounts, steps, clock)
    inputs = Inputs(store, blobs, sources, shelf)
    serving = Serving(inputs, originals, accounts, clock, random)
    admitting = Admitting(store, clock, random, caps=caps)
    planner = Planner(store, engine, serving, inputs, admitting, clock)
    studio = Studio(
        store=store,
        engine=engine,
        planner=planner,
        planning=Planning(serving, inputs, admitting, clock, random),
        serving=serving,
        admitting=admitting,
        inputs=inputs,
        gallery=Gallery(store, inputs, shelf, clock, zone=zone),
        forgetting=Forgetting(store, trash, clock, zone=zone),
        clock=clock,
    )
    made = Workshop(
        folder=folder,
        clock=clock,
        store=store,
        engine=engine,
        planner=planner,
        studio=studio,
        steps=steps,
        archive=archive,
    )
    clock.at_work.append(lambda: engine.driving)
    try:
        if running:
            async with engine.running(), planner.running():
                yield made
        else:
            yield made
    finally:
        await http.aclose()
        await store.close()

"""Whatever is made, resumed, deleted, pruned and killed in whatever order: rows and files belong together."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from kontext_tools.blobs import keys
from kontext_tools.blobs.files import FileBlobs
from kontext_tools.budget import Caps
from kontext_tools.edits import Edit
from kontext_tools.errors import InvalidArgument, OutcomeUnknown
from kontext_tools.forgetting import Forgetting
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import Job, Output, Run, SendState, Source, SourceKind
from kontext_tools.plans import Part, Plan, Step
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.trash import Trash
from support.fake_clock import FakeClock
from support.rows import a_job, admit, an_output, claim_all

LOST = OutcomeUnknown("lost", fix="look").failure
ENDS = (SendState.COMPLETED, SendState.COMPLETED, SendState.COMPLETED, SendState.FAILED, SendState.UNKNOWN, None)
MOVES = ("edit", "edit", "plan", "resume", "resolve", "delete", "delete", "delete", "prune", "kill", "sweep")


class Killed(Exception):
    """The process died right there."""


class Mortal(FileBlobs):
    """Files of a process that dies amid a removal, when it is told to."""

    dies = False

    async def remove(self, keys: Mapping[str, datetime]) -> frozenset[str]:
        """Remove half of them, and die."""
        if self.dies:
            await super().remove(dict(list(keys.items())[::2]))
            raise Killed
        return await super().remove(keys)


class World:
    """A store, its files, and one random move after the other."""

    def __init__(self, folder: Path, random: Random) -> None:
        self._folder = folder
        self._random = random
        self._clock = FakeClock()
        self._blobs = Mortal(folder)
        self._store = SqliteStore(folder / "kontext.db")
        self._trash = Trash(self._store, self._blobs)
        self._forgetting = Forgetting(self._store, self._trash, self._clock)
        self._made = 0

    async def live(self, moves: list[str]) -> None:
        """Make the moves, and look after each."""
        for move in moves:
            self._clock.advance(60)
            await getattr(self, f"_{move}")()
            self._check()
        await self._sweep()
        self._check()
        self._check_nothing_else_is_kept()
        await self._store.close()

    async def _edit(self) -> None:
        await self._job(await self._source())

    async def _plan(self, runs: tuple[Run, ...] = ()) -> None:
        self._made += 1
        plan_id, now = f"plan-{self._made:04}", self._clock.now()
        sources = {name: await self._source() for name in ("one", "two")}
        steps = tuple(Step(id=name, edit=Edit(prompt=name), source=source) for name, source in sources.items())
        plan = replace(a_job(plan_id, created_at=now), tool="run_plan", sends=(), plan=Plan(steps=steps), runs=runs)
        await self._store.admit_plan(plan, caps=Caps.none(), prices=[], now=now)
        for step in steps:
            if step.id not in {run.step for run in runs}:
                await self._job(step.source, part=Part(plan_id=plan_id, step=step.id, run=1))
        await self._store.rest_plan("one", plan_id, now=now)

    async def _resume(self) -> None:
        plans = [job for job in await self._jobs() if job.plan is not None]
        if plans:
            run = self._random.choice(self._random.choice(plans).runs)
            await self._plan((replace(run, carried=True),))

    async def _resolve(self) -> None:
        for job in await self._jobs():
            if any(send.state is SendState.UNKNOWN for send in job.sends) and self._random.random() < 0.5:
                await self._store.resolve("ann", job.id, charged=True, now=self._clock.now())

    async def _delete(self) -> None:
        ids = list(await self._store.recent_ids("ann"))
        chosen = self._random.sample(ids, min(len(ids), self._random.randint(1, 3)))
        with suppress(InvalidArgument):
            await self._forgetting.forget("ann", chosen)

    async def _prune(self) -> None:
        old = await self._forgetting.old("ann", self._random.choice(("0d", "1h")))
        gone = await self._forgetting.prune("ann", old, lambda _: None)
        assert set(gone.going.job_ids) == set(old.going.job_ids)

    async def _kill(self) -> None:
        self._blobs.dies = True
        with suppress(Killed):
            await self._delete()
        self._blobs.dies = False

    async def _sweep(self) -> None:
        await self._trash.empty()

    async def _jobs(self) -> list[Job]:
        return list(await self._store.jobs("ann", limit=99))

    async def _source(self) -> Source | None:
        pictures = [(job.id, output) for job in await self._jobs() for output in job.outputs]
        kind = self._random.choice(("words", "file", "file", "result", "result"))
        if kind == "words":
            return None
        if kind == "result" and pictures:
            job_id, output = self._random.choice(pictures)
            return Source(kind=SourceKind.RESULT, facts=output.facts, blob=output.blob, parent=f"{job_id}/{output.n}")
        sha256 = self._random.choice(("ab", "cd")) * 32
        facts = ImageFacts(media_type="image/png", width=64, height=48, size_bytes=4, sha256=sha256)
        await self._keep(keys.source(sha256, "png"))
        return Source(kind=SourceKind.FILE, facts=facts, blob=keys.source(sha256, "png"))

    async def _job(self, source: Source | None, part: Part | None = None) -> None:
        self._made += 1
        job_id, now, end = f"job-{self._made:04}", self._clock.now(), self._random.choice(ENDS)
        await admit(self._store, a_job(job_id, source=source, part=part, created_at=now), now=now)
        if end is None:
            return
        claims = await claim_all(self._store, now=now, lease_until=now + timedelta(seconds=10))
        (send,) = [claim.send for claim in claims if claim.send.job_id == job_id]
        assert await self._store.save(replace(send, state=SendState.INTENT, sent_at=now), now=now, release=False)
        outputs = [await self._output(job_id)] if end is SendState.COMPLETED else []
        if outputs:
            for state in (SendState.SUBMITTED, SendState.READY):
                assert await self._store.save(replace(send, state=state), now=now, release=False)
        failure = LOST if end is SendState.UNKNOWN else None
        ended = replace(send, state=end, failure=failure, ended_at=now)
        assert await self._store.save(ended, now=now, release=True, outputs=outputs)
        await self._store.release("one")

    async def _output(self, job_id: str) -> Output:
        output = an_output(1, job_id)
        output = replace(output, facts=replace(output.facts, sha256=self._random.choice(("12", "34", "ab")) * 32))
        for key in (output.blob, keys.facts(job_id, 1), keys.thumb(output.facts.sha256)):
            await self._keep(key)
        return output

    async def _keep(self, key: str) -> None:
        """Keep a file, as old as one whose call is long over: nobody is about to refer to it but by its row."""
        await self._blobs.write(key, b"kept", durable=False)
        os.utime(self._folder / key, (0, 0))

    def _files(self) -> set[str]:
        folders = [self._folder / name for name in ("images", "sources", "thumbs")]
        return {path.relative_to(self._folder).as_posix() for one in folders if one.is_dir() for path in one.iterdir()}

    def _rows(self) -> tuple[set[str], set[str]]:
        """Give the keys that rows cannot do without, and with them those that may lie there because of them."""
        with closing(sqlite3.connect(self._folder / "kontext.db")) as db:
            docs: list[dict[str, Any]] = [json.loads(doc) for (doc,) in db.execute("SELECT doc FROM jobs")]
            outputs: list[tuple[str, int, str, str]] = db.execute(
                "SELECT job_id, n, blob, sha256 FROM outputs"
            ).fetchall()
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        steps = [step["source"] for doc in docs if doc["plan"] is not None for step in doc["plan"]["steps"]]
        # A plan that ended needs its steps' own files, to be resumed; an earlier result is asked for by its reference.
        sources = [doc["source"] for doc in docs] + [one for one in steps if one is not None and one["kind"] == "file"]
        held = [one for one in sources if one is not None and one["blob"] is not None]
        needed: set[str] = {one["blob"] for one in held}
        needed |= {key for job_id, n, blob, _ in outputs for key in (blob, keys.facts(job_id, n))}
        shas: set[str] = {one["facts"]["sha256"] for one in held} | {sha256 for *_, sha256 in outputs}
        return needed, needed | {keys.thumb(sha256) for sha256 in shas}

    def _check(self) -> None:
        needed, _ = self._rows()
        assert needed - self._files() == set()

    def _check_nothing_else_is_kept(self) -> None:
        _, allowed = self._rows()
        assert self._files() - allowed == set()


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), moves=st.lists(st.sampled_from(MOVES), min_size=5, max_size=20))
def test_no_row_wants_a_file_that_is_gone_and_no_file_is_left_without_a_row(seed: int, moves: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(World(Path(folder), Random(seed)).live, moves)

"""What a scripted agent does: each scenario decides the next tool calls by what it read in the answers before.

What this is: generators. Each yields the calls of one turn of a model and is sent the answers as its client shows
them; an assertion that fails ends it. What it is not: a model, or a client. No third-party import: each framework's
own interpreter loads it. Above: following and the frameworks' scripts. Below: reading.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from clients.reading import Call, Facts, Shown, call, mended, named_call, resumed_id

Script = Generator[Sequence[Call], Sequence[Shown], None]
Asking = Generator[Sequence[Call], Sequence[Shown], Shown]

DAY_US = 86_400_000_000
MOST_POLLS = 3
"""Each waits 25 s; a job takes about one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What surrounds one server.

    Attributes:
        photos: the folder that holds the photographs.
        data: the server's data folder.
        simulator: the address of the simulator that it spends at, empty where the sandbox serves.
        reads: what the agent reads of an answer: `all` that its client shows, or only `text` or `structured`.
    """

    photos: Path
    data: Path
    simulator: str = ""
    reads: str = "all"

    @property
    def cat(self) -> str:
        """A photograph, by its absolute path."""
        return str(self.photos / "chelsea.png")

    def charged(self) -> int:
        """How many pictures the simulator has charged."""
        return int(self._ask("counter")["charged"]["core.today"])

    def script(self, **fault: Any) -> None:
        """Let the simulator go wrong once."""
        self._ask("script", json.dumps({"wire": "core.today", **fault}).encode())

    def _ask(self, what: str, body: bytes | None = None) -> Any:
        # The address is the loopback simulator's, given by the test.
        request = Request(f"{self.simulator}/_sim/{what}", data=body, headers={"content-type": "application/json"})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)


def one(asked: Call) -> Asking:
    """Make one call in a turn of its own and give its answer."""
    (shown,) = yield [asked]
    return shown


def until_it_ends(asked: Call) -> Generator[Sequence[Call], Sequence[Shown], Facts]:
    """Make a call and, while its job runs, whatever call the answer names next."""
    facts = (yield from one(asked)).facts
    for _ in range(MOST_POLLS):
        if facts.status not in ("pending", "processing"):
            break
        facts = (yield from one(named_call(facts.next, "get_status"))).facts
    assert facts.status not in ("pending", "processing"), f"it does not end: {facts}"
    return facts


def happy_chain(world: World) -> Script:
    """A photograph by its path, its result by its reference; files on disk at the end."""
    # Two such chains are played at once: without keys of their own their calls would be one job.
    wish = call("edit_image", image=world.cat, prompt="Make it a watercolour", keep="the eyes")
    first = (yield from one(wish.but(request_key=f"painted, read by {world.reads}"))).facts
    assert first.status == "completed" and len(first.refs) == 1, first
    following = named_call(first.next, "edit_image")
    assert following.arguments["image"] == first.refs[0], following
    second = (yield from one(following.but(prompt="Make it warmer"))).facts
    assert second.status == "completed" and second.refs != first.refs, second
    assert not first.joined and not second.joined, (first, second)
    if world.reads != "structured":
        # Structured content holds no picture, and some clients leave it out where one comes along.
        seen = yield from one(call("view_images", refs=[*first.refs, *second.refs]))
        assert (seen.facts.refs, seen.pictures) == ((*first.refs, *second.refs), 2), seen.facts
    for path in (*first.paths, *second.paths):
        assert Path(path).read_bytes().startswith(b"\x89PNG"), path
    assert len(first.paths) == len(second.paths) == 1, (first, second)


def error_then_mend(world: World) -> Script:
    """A shape that does not exist, then a reference with a slip: each refusal says how the call passes."""
    wrong = call("edit_image", image=world.cat, prompt="Make it sepia", aspect_ratio="17:9", label="my cat")
    refused = (yield from one(wrong)).facts
    assert refused.code == "invalid_argument", refused
    made = yield from until_it_ends(mended(wrong, refused))
    assert made.status == "completed", made
    (ref,) = made.refs
    mistyped = call("edit_image", image=_with_a_slip(ref), prompt="Mirror it")
    refused = (yield from one(mistyped)).facts
    assert refused.code == "unknown_ref", refused
    again = mended(mistyped, refused)
    assert again.arguments["image"] == ref, again
    made = yield from until_it_ends(again)
    assert made.status == "completed", made


def timeout_then_poll(world: World) -> Script:
    """A call that does not wait names the call that does."""
    asked = call("edit_image", image=world.cat, prompt="Make it a pencil drawing", wait_seconds=0)
    running = (yield from one(asked)).facts
    assert running.status in ("pending", "processing") and not running.refs, running
    following = named_call(running.next, "get_status")
    assert following.arguments["job_id"] == running.job_id, following
    made = yield from until_it_ends(following)
    assert made.status == "completed" and made.job_id == running.job_id and len(made.refs) == 1, made


def repeated_call(world: World) -> Script:
    """One job, and one charge, however often a call is made: with its key, and without while it runs."""
    before = world.charged()
    keyed = call("edit_image", image=world.cat, prompt="Make it a mosaic", request_key="mosaic-1")
    twins = [shown.facts for shown in (yield [keyed, keyed])]
    later = (yield from one(keyed)).facts
    assert {twin.status for twin in (*twins, later)} == {"completed"}, (twins, later)
    assert len({twin.job_id for twin in (*twins, later)}) == 1, (twins, later)
    assert sorted(twin.joined for twin in twins) == [False, True] and later.joined, (twins, later)
    assert world.charged() == before + 1
    bare = call("edit_image", image=world.cat, prompt="Make it a fresco")
    running = (yield from one(bare.but(wait_seconds=0))).facts
    made = (yield from one(bare)).facts
    assert made.status == "completed" and made.joined and made.job_id == running.job_id, (running, made)
    assert world.charged() == before + 2


def plan_resumed(world: World) -> Script:
    """A branch fails, the other goes on; with the step mended, only what is missing is made and paid."""
    world.script(on="create", fault="fail", match="neon", error="The model broke.")
    before = world.charged()
    steps: list[Mapping[str, Any]] = [
        {"id": "paint", "image": world.cat, "prompt": "Make it a watercolour"},
        {"id": "glow", "image": "$paint", "prompt": "Add a neon sign"},
        {"id": "turn", "image": "$glow", "prompt": "Mirror it"},
        {"id": "brown", "image": world.cat, "prompt": "Make it sepia"},
    ]
    broken = yield from until_it_ends(call("run_plan", steps=steps))
    assert _statuses(broken) == {"paint": "completed", "glow": "failed", "turn": "skipped", "brown": "completed"}
    failed = world.charged()
    steps[1] = {**steps[1], "prompt": "Add a lamp"}
    whole = yield from until_it_ends(call("run_plan", steps=steps, resume_job_id=resumed_id(broken.next)))
    assert set(_statuses(whole).values()) == {"completed"}, whole
    assert [step.id for step in whole.steps if step.reused] == ["paint", "brown"], whole
    for kept in ("paint", "brown"):
        assert whole.step(kept).refs == broken.step(kept).refs, (broken, whole)
    assert (failed - before, world.charged() - failed) == (3, 2)
    assert whole.cost == "240 credit", whole


def yesterdays_picture(world: World) -> Script:
    """A picture is found again by words and a day, looked at, and gone on from.

    Made now and moved back by a day on the disk: by `since="today"` alone nobody would notice that days are ignored.
    """
    old = yield from until_it_ends(call("edit_image", image=world.cat, prompt="Make it charcoal", label="window cat"))
    _make_a_day_older(world.data / "kontext.db", old.job_id)
    new = yield from until_it_ends(call("generate_image", prompt="A charcoal boat"))
    today = (yield from one(call("find_images", query="charcoal", since="today"))).facts
    assert set(new.refs) <= set(today.refs) and not set(old.refs) & set(today.refs), (old, new, today)
    found = (yield from one(call("find_images", query="charcoal window", since="yesterday"))).facts
    assert found.refs == old.refs, (old, found)
    looking = named_call(found.next, "view_images")
    seen = yield from one(looking)
    assert (list(seen.facts.refs), seen.pictures) == (looking.arguments["refs"], 1), seen.facts
    made = yield from until_it_ends(named_call(found.next, "edit_image").but(prompt="Mirror it"))
    made_from_it = (yield from one(call("find_images", derived_from=old.refs[0]))).facts
    assert made.refs == made_from_it.refs, (made, made_from_it)


def _make_a_day_older(database: Path, job_id: str) -> None:
    """Move a job's images a day back; its rows go and come again, so that what searches read follows."""
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("CREATE TEMP TABLE moved AS SELECT * FROM outputs WHERE job_id = ?", (job_id,))
        db.execute("UPDATE moved SET created_us = created_us - ?", (DAY_US,))
        db.execute("DELETE FROM outputs WHERE job_id = ?", (job_id,))
        db.execute("INSERT INTO outputs SELECT * FROM moved")
        db.execute("COMMIT")


def _statuses(facts: Facts) -> dict[str, str]:
    return {step.id: step.status for step in facts.steps}


def _with_a_slip(ref: str) -> str:
    """Give a reference with the first two letters of its words swapped."""
    return ref[1] + ref[0] + ref[2:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario, where it runs, and what it reads.

    Attributes:
        server: `sandbox`; `bare`, the same without pictures; or `priced`, where a simulator charges.
    """

    name: str
    play: Callable[[World], Script]
    server: str = "sandbox"
    reads: str = "all"


# Some clients give the model only the text as soon as a picture comes along: without pictures they give the
# structured content, hence `bare`.
SCENARIOS = (
    Scenario(name="happy chain", play=happy_chain),
    Scenario(name="happy chain, text alone", play=happy_chain, reads="text"),
    Scenario(name="happy chain, structured content alone", play=happy_chain, server="bare", reads="structured"),
    Scenario(name="error then mend", play=error_then_mend),
    Scenario(name="timeout then poll", play=timeout_then_poll),
    Scenario(name="yesterday's picture found", play=yesterdays_picture),
    Scenario(name="repeated call", play=repeated_call, server="priced"),
    Scenario(name="plan with a failing branch, resumed", play=plan_resumed, server="priced"),
)

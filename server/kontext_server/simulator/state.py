"""What the simulator knows: jobs, files, the counter of charged creates, the journal and the scripted faults.

What this is: plain values under an injected clock. A job's phase follows from the time alone, so nothing runs
in the background and a test turns the clock instead of waiting. What it is not: any vendor's words
(`core_today` and its like translate). Above: the wires, `app`, `serve`. Below: `faults`, `files`, `journal`,
`pictures`.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from kontext_server.simulator.faults import Fault, Faults
from kontext_server.simulator.files import Shelf, StoredFile, Ticket, new_file
from kontext_server.simulator.journal import Journal
from kontext_server.simulator.pictures import Recipe

Value = TypeVar("Value")

WAITING_SHARE = 0.2
MOST_JOBS = 20_000
MODERATED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"


class Phase(StrEnum):
    """Where a job stands, in nobody's dialect."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether it never changes again."""
        return self not in {Phase.WAITING, Phase.WORKING}


@dataclass(slots=True, kw_only=True)
class Job:
    """An accepted create and its fate.

    Attributes:
        id: as the vendor told it.
        wire: whose it is.
        model: as asked.
        input: as asked, with the addresses of attached files filled in.
        asked: what else the create said.
        created_at: seconds of the simulator's clock; likewise the other times.
        works_from: when it leaves the queue.
        ends_at: when it ends; infinite for never.
        output: the file that it makes.
        public: the same without expiry, where that was asked for.
        ending: how it ends.
        error: the vendor's words for a failure.
        word: a status word reported instead of the true one, until the end of days.
        inline: whether the result is a `data:` URI.
        shape: which of the published reply shapes it speaks.
        more: the files that it makes beside `output`, where several were asked for.
        fate: the last fault that it suffered, by name; empty for none.
        error_code: the vendor's code for a failure, as scripted.
        billed: whether it is still among the charged.
    """

    id: str
    wire: str
    model: str
    input: dict[str, Any]
    asked: dict[str, Any]
    created_at: float
    works_from: float
    ends_at: float
    output: StoredFile
    public: StoredFile | None = None
    ending: Phase = Phase.DONE
    error: str | None = None
    word: str | None = None
    inline: bool = False
    shape: str = "first"
    more: tuple[StoredFile, ...] = ()
    fate: str = ""
    error_code: str = ""
    billed: bool = True

    def phase(self, now: float) -> Phase:
        """Where it stands at `now` seconds."""
        if now >= self.ends_at:
            return self.ending
        return Phase.WORKING if now >= self.works_from else Phase.WAITING

    def end(self, ending: Phase, now: float, error: str | None = None) -> bool:
        """End it at once; false where it had ended before, and nothing changes."""
        if self.phase(now).over:
            return False
        self.ending, self.ends_at, self.error = ending, now, error
        return True

    def suffer(self, fault: Fault, now: float | None = None) -> None:
        """Take the fate that a script has for it: at its end, or at `now` seconds unless it has ended."""
        match fault.fault:
            case "fail":
                self._doom(Phase.FAILED, now, fault, fault.error or "Prediction failed")
            case "moderated":
                self._doom(Phase.FAILED, now, fault, fault.error or MODERATED)
            case "cancelled_elsewhere":
                self._doom(Phase.CANCELLED, now, fault, None)
            case "aborted":
                self._doom(Phase.CANCELLED, now, fault, None)
            case "partial_succeeded" | "nsfw" | "early_output" | "data_removed":
                self.fate = fault.fault
            case "never_ends":
                if now is None or not self.phase(now).over:
                    self.ends_at = math.inf
            case "status":
                self.word = fault.status
            case "data_uri":
                self.inline = True
            case _:
                pass

    def _doom(self, ending: Phase, now: float | None, fault: Fault, error: str | None) -> None:
        if now is None:
            self.ending, self.error = ending, error
        elif not self.end(ending, now, error):
            return
        self.fate, self.error_code = fault.fault, fault.error_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a wire hands over when it has checked a create.

    Attributes:
        wire: the wire's name.
        model: as asked.
        input: as asked, with the addresses of attached files filled in.
        asked: what else the create said.
        recipe: of the output.
        public: whether the output also gets an address that never expires.
        id_prefix: what the job's id begins with.
        id: the job's id, where the vendor's are of another kind than 32 hexadecimal digits.
        images: how many files it makes; the recipe is the first one's.
        output_seconds: how long this vendor lets an output live at most.
    """

    wire: str
    model: str
    input: dict[str, Any]
    asked: dict[str, Any]
    recipe: Recipe
    public: bool = False
    id_prefix: str = ""
    id: str = ""
    images: int = 1
    output_seconds: float = math.inf


@dataclass(slots=True, kw_only=True)
class State:
    """All of it. Wires change it on the event loop; a test may read it, and push faults, from another thread.

    Attributes:
        wires: the names of those served.
        clock: seconds since the epoch.
        job_seconds: how long a job takes, the first fifth of it in the queue.
        output_seconds: how long an output can be fetched after its job has ended.
        charged: creates accepted, by wire: what a vendor would have billed.
        creates: creates that came, by wire, accepted or not.
        jobs: by id, oldest first, the newest 20,000.
        tickets: uploads promised and not yet made, by the last part of their address, the newest 20,000.
        files: everything that can be fetched.
        journal: every request.
        faults: those scripted and not used up.
        catalogue: what scripts have changed about the models on offer, as the wires name it.
        called: the calls that were made at hooks, in order.
        calling: those to be made.
    """

    wires: tuple[str, ...]
    clock: Callable[[], float] = time.time
    job_seconds: float = 2.0
    output_seconds: float = 3600.0
    charged: Counter[str] = field(default_factory=Counter[str])
    creates: Counter[str] = field(default_factory=Counter[str])
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    tickets: dict[str, Ticket] = field(default_factory=dict[str, Ticket])
    files: Shelf = field(default_factory=Shelf)
    journal: Journal = field(default_factory=lambda: Journal(most_entries=20_000, most_bytes=256_000_000))
    faults: Faults = field(init=False)
    catalogue: dict[str, Any] = field(default_factory=dict[str, Any])
    called: list[Any] = field(default_factory=list[Any])
    calling: set[Any] = field(default_factory=set[Any])

    def __post_init__(self) -> None:
        self.faults = Faults(self.wires)

    def script(self, *faults: Fault | Mapping[str, Any]) -> int:
        """Queue faults, all or none (BadScriptError); how many wait then."""
        return self.faults.push(faults)

    def reset(self) -> None:
        """Forget everything; the settings stay."""
        for kept in (
            self.charged,
            self.creates,
            self.jobs,
            self.tickets,
            self.files,
            self.journal,
            self.faults,
            self.catalogue,
            self.called,
        ):
            kept.clear()

    def counter(self) -> dict[str, dict[str, int]]:
        """Creates charged and creates that came, for each wire."""
        return {
            "charged": {wire: self.charged[wire] for wire in self.wires},
            "creates": {wire: self.creates[wire] for wire in self.wires},
        }

    def accept(self, accepted: Accepted, fault: Fault) -> Job:
        """Take a checked create and charge it; `fault` is what a script has for it."""
        now = self.clock()
        seconds = self.job_seconds if fault.seconds is None else fault.seconds
        job_id = accepted.id or accepted.id_prefix + secrets.token_hex(16)
        # Without a seed a vendor rolls one for each job; the job's own id is as good a throw.
        recipe = replace(accepted.recipe, seed=accepted.recipe.seed or job_id)
        dies_at = now + seconds + min(self.output_seconds, accepted.output_seconds)
        job = Job(
            id=job_id,
            wire=accepted.wire,
            model=accepted.model,
            input=accepted.input,
            asked=accepted.asked,
            created_at=now,
            works_from=now + seconds * WAITING_SHARE,
            ends_at=now + seconds,
            output=self._made(accepted.wire, recipe, dies_at),
            more=tuple(
                self._made(accepted.wire, replace(recipe, seed=f"{recipe.seed}+{more}"), dies_at)
                for more in range(1, accepted.images)
            ),
            shape=fault.shape,
        )
        if accepted.public:
            job.public = self._made(accepted.wire, recipe, math.inf)
        job.suffer(fault)
        self.charged[accepted.wire] += 1
        _remember(self.jobs, job_id, job)
        return job

    def refund(self, job: Job) -> None:
        """Take a job off the counter of charges, once: what this vendor does with a fate such as its."""
        self.charged[job.wire] -= job.billed
        job.billed = False

    def promise(self, ticket: Ticket) -> str:
        """Await an upload; the last part of the address where it will come."""
        name = secrets.token_hex(16)
        _remember(self.tickets, name, ticket)
        return name

    def _made(self, wire: str, recipe: Recipe, dies_at: float) -> StoredFile:
        return self.files.add(new_file(wire, recipe, recipe.media_type, dies_at))


def _remember(kept: dict[str, Value], name: str, value: Value) -> None:
    kept[name] = value
    if len(kept) > MOST_JOBS:
        del kept[next(iter(kept))]

"""A send: one create at a provider, and all that is known of it; a value.

What this is: what a claim hands to a step. State, intent, lease and reservation are its own; a job has one or more.
What it is not: the job (`jobs`, which gives this name on) or the table of moves (`states`). Above: jobs. Below: states,
budget, errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kontext_tools.budget import Cost, Price
from kontext_tools.errors import Failure
from kontext_tools.states import SendState, Sought

LIKELY_LOOKS = 2
"""So many searches may find a lost create yet: a host that has it shows it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One create at a provider. At most one is ever accepted for each send.

    Attributes:
        job_id: whose it is.
        provider: where it goes.
        n: 1, 2 ... within the job.
        state: where it stands.
        seed: the caller's, as far as he set one.
        own_seed: drawn by us where he set none and the host lists its jobs: no other job has it.
        count: images that this one create asks for.
        price: reserved for it.
        first_output: number of its first image within the job.
        due_at: when the engine looks at it next.
        attempts: creates tried that were proven not taken.
        first_attempt_at: when the first of them was made.
        remote_id: the provider's name for it.
        working: whether the provider has begun (told as `processing`).
        odd_word: the provider's last word for it, quoted, where it is none that we know.
        progress: 0 to 1 where the provider tells it.
        pending_urls: outputs that are ready and not fetched yet, secret: `(url, seed)`.
        reasks: how often broken or expired links were asked for again.
        refetches: how often links that gave no whole picture were fetched again.
        misses: looks or downloads in a row that told nothing.
        sent_at: when its intent was committed.
        ended_at: when it ended.
        cost: what the provider reported, else its list price.
        failure: why it failed or is unknown.
        sought: while it is unknown.
        searches: answers of its host that did not show it for certain.
        own_key: whether its owner's own key serves it; else it is the operator's.
        hooked: whether its create asked the host to call when it ends.
        waits_at: the place where pictures of it wait to be kept; empty where none does.
        trace: what the steps of it are traced below, a W3C `traceparent`; empty where nothing is.
        fence: number of the lease under which it was last claimed; a write under an older one is refused.
    """

    job_id: str
    provider: str
    n: int
    state: SendState = SendState.QUEUED
    seed: int | None = None
    count: int = 1
    price: Price
    first_output: int = 1
    due_at: datetime
    attempts: int = 0
    first_attempt_at: datetime | None = None
    remote_id: str | None = None
    working: bool = False
    odd_word: str = ""
    progress: float | None = None
    pending_urls: tuple[tuple[str, int | None], ...] = ()
    reasks: int = 0
    refetches: int = 0
    misses: int = 0
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    cost: Cost | None = None
    failure: Failure | None = None
    own_seed: int | None = None
    sought: Sought = Sought.NO
    searches: int = 0
    own_key: bool = False
    hooked: bool = False
    waits_at: str = ""
    trace: str = ""
    fence: int = 0

    @property
    def sent_seed(self) -> int | None:
        """The seed that goes out with it."""
        return self.own_seed if self.seed is None else self.seed

    @property
    def searched(self) -> bool:
        """Whether it is unknown, and its host is still asked for it."""
        return self.state is SendState.UNKNOWN and self.sought is Sought.LOOKING

    @property
    def likely(self) -> bool:
        """Whether it may be found any moment: a host that has it shows it at the first looks."""
        return self.searched and self.searches + self.misses < LIKELY_LOOKS

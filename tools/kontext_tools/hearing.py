"""What other processes did is heard at once, where the store gives a hint of it.

What this is: the store's hints turned into the ids of the jobs that changed, for whoever waits for one here. What it is
not: needed by anything: who waits looks by itself from time to time as well. Above: engine. Below: stores.journal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from kontext_tools.clocks import Clock
from kontext_tools.errors import KontextError
from kontext_tools.stores.journal import Journal, Mark

PAUSE_S = 0.02
"""What happens within so long is told together."""
AGAIN_S = 5.0
"""After a look that broke."""

log = logging.getLogger(__name__)


class Hearing:
    """Hears what other processes did.

    Args:
        journal: where they wrote it.
        tell: is called with the id of each job that changed.
        clock: what it lives by.
    """

    def __init__(self, journal: Journal, tell: Callable[[str], None], clock: Clock) -> None:
        self._journal = journal
        self._tell = tell
        self._clock = clock
        self._listeners: list[Callable[[], None]] = []

    def calls(self, listener: Callable[[], None]) -> None:
        """Call a listener whenever something was heard."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Hear, for ever."""
        mark: Mark | None = None
        never = anyio.Event()
        while True:
            try:
                await self._journal.stirred()
                tidings = await self._journal.tidings(mark)
            except KontextError as error:
                log.warning("what other processes did was not heard: %s", error.failure.code)
                await self._clock.wait(never, AGAIN_S)
                continue
            except Exception:
                # Whatever breaks here, nobody's work may end with it.
                log.exception("what other processes did was not heard")
                await self._clock.wait(never, AGAIN_S)
                continue
            mark = tidings.mark
            for job_id in dict.fromkeys(happening.job_id for happening in tidings.happenings):
                self._tell(job_id)
            for listener in self._listeners:
                listener()
            await self._clock.wait(never, PAUSE_S)

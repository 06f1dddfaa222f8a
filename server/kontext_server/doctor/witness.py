"""The way out for a doctor: GETs alone, each within its time, and what came is remembered.

What this is: `Http` with its proxy, its guard and its certificates, so that what it finds is what a server would find.
What it is not: a second client. Above: online. Below: kontext_tools.http.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Mapping, Sequence
from enum import StrEnum
from typing import Any, cast

from kontext_tools.guard import Guard, Target
from kontext_tools.http import Http, Lost, NotSent, Part, Reply
from kontext_tools.redaction import Redactor

MAX_REPLY_BYTES = 1_000_000


class Trouble(StrEnum):
    """Why no answer came."""

    NAME = "its name is not found (DNS)"
    TLS = "no trusted TLS connection is made"
    REFUSED = "the connection is refused"
    TIMEOUT = "no answer comes in time"
    PROXY = "the proxy does not let it through"
    OTHER = "no connection is made"


class Witness(Http):
    """Asks one host by GETs; anything else does not leave this machine."""

    def __init__(self, *, guard: Guard, proxy: str | None, redact: Redactor, within_s: float) -> None:
        super().__init__(guard=guard, proxy=proxy, redact=redact)
        self._within_s = within_s
        self.reply: Reply | None = None
        self.trouble: Trouble | None = None

    async def call(
        self,
        method: str,
        url: str | Target,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        parts: Sequence[Part] = (),
        content: bytes | None = None,
        fresh: bool = False,
        read_s: float = 0.0,  # noqa: ARG002  # the whole is bounded
        total_s: float | None = None,  # noqa: ARG002  # the same
        max_bytes: int = MAX_REPLY_BYTES,
    ) -> Reply:
        """Send a GET without a body. Raises as `Http.call`; `NotSent` for all else."""
        if method != "GET" or json is not None or parts or content is not None:
            raise NotSent("a doctor only looks")
        within_s = self._within_s
        try:
            self.reply = await super().call(
                method, url, headers=headers, fresh=fresh, read_s=within_s, total_s=within_s, max_bytes=max_bytes
            )
        except (NotSent, Lost) as error:
            self.trouble = _why(error)
            raise
        return self.reply


def _why(error: NotSent | Lost) -> Trouble:
    causes = list(_causes(error))
    for kind, trouble in (
        (socket.gaierror, Trouble.NAME),
        (ssl.SSLError, Trouble.TLS),
        (ConnectionRefusedError, Trouble.REFUSED),
        (TimeoutError, Trouble.TIMEOUT),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return trouble
    words = str(error)  # the client's own name of it
    return Trouble.TIMEOUT if "Timeout" in words else Trouble.PROXY if "Proxy" in words else Trouble.OTHER


def _causes(error: BaseException | None) -> Generator[BaseException]:
    """Give an exception and all that it came of."""
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        cause = ahead.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        ahead += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            ahead += cast("BaseExceptionGroup[BaseException]", cause).exceptions

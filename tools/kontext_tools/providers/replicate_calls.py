"""Replicate's calls: signed with a secret of the account's, which the host tells.

What this is: what a create says to be called, whether a call is signed, and when the secret is asked for. What it is
not: what the call says (`replicate`). Above: replicate. Below: wire, hooks.

Facts: WIRE.md B1, read 2026-11-20. Under which name the answer holds the secret is from memory: what begins with
`whsec_` is nothing else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kontext_tools.providers.base import Hook
from kontext_tools.providers.hooks import KEYS_AGAIN_S, WHSEC, Knock, is_signed
from kontext_tools.providers.replies import fields_of
from kontext_tools.providers.wire import Wire

MOST_CALL_BYTES = 524_288
"""A call holds the whole prediction, and so its input, with a picture of up to 256 KB in base64 in it."""
PATH = "/webhooks/default/secret"


def asked_to_call(hook: Hook | None) -> dict[str, Any]:
    """Give what a create holds beside its input: a call at the end alone, where there is a hook."""
    return {} if hook is None else {"webhook": hook.url, "webhook_events_filter": ["completed"]}


class Signing:
    """The account's secret, asked for at the first call and when one does not fit."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._secret = ""
        self._asked_at: datetime | None = None

    async def proves(self, knock: Knock) -> bool:
        """Whether a call is signed with it, and fresh.

        Raises:
            FetchFailed: it could not be asked for.
        """
        if is_signed(knock, self._secret):
            return True
        if self._asked_at is not None and (knock.at - self._asked_at).total_seconds() < KEYS_AGAIN_S:
            return False
        told = fields_of(await self._wire.ask("GET", PATH)).values()
        self._secret = next((one for one in told if isinstance(one, str) and one.startswith(WHSEC)), "")
        self._asked_at = knock.at
        return is_signed(knock, self._secret)

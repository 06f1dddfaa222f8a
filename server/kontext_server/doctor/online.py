"""Whether providers are reached and take their keys, proven without spending; and whether our clock is right.

What this is: each adapter's own look at a job that does not exist, twice at once: with the key, and with a made-up one.
A host that refuses the made-up key alone has proven ours. One that answers both the same has looked at no key, whatever
its status is; vendors' pages do not tell which do (WIRE.md, open questions). What it is not: a create, an upload or a
question about a balance: `Witness` lets nothing but GETs out. Above: checkup. Below: witness, keys, adapters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

import anyio
from pydantic import SecretStr

from kontext_server.adapters import KEY_FIELDS, adapter
from kontext_server.doctor import keys
from kontext_server.doctor.case import Case
from kontext_server.doctor.findings import Finding, fail, ok, warn
from kontext_server.doctor.providers import usable_key
from kontext_server.doctor.witness import Trouble, Witness
from kontext_server.settings import Settings
from kontext_tools.choosing import KEY_VARIABLES
from kontext_tools.errors import AuthFailed, Failure, OutOfCredit, RateLimited
from kontext_tools.guard import Guard
from kontext_tools.http import Reply
from kontext_tools.providers.base import FetchFailed
from kontext_tools.redaction import Redactor

NO_SUCH_JOB = "00000000-0000-7000-8000-000000000000"
"""In the shape of an id at each host that publishes one."""

MOST_SKEW = timedelta(minutes=5)
"""Beyond it hosts of signed addresses refuse, or an address is dead when it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a look at no job brought.

    Attributes:
        reply: the last one, where any came.
        trouble: why none came.
        failure: in our words.
        at: when it came, by our clock.
    """

    reply: Reply | None
    trouble: Trouble | None
    failure: Failure | None
    at: datetime

    @property
    def refused(self) -> bool:
        """Whether the host looked at the key and refused it."""
        return self.failure is not None and self.failure.code == AuthFailed.code


async def look(case: Case) -> Sequence[Finding]:
    """Ask every provider whose key can be one, all at once."""
    if not case.online:
        await anyio.lowlevel.checkpoint()
        return []
    settings = case.read
    names = [name for name in KEY_FIELDS if usable_key(settings, name)]
    if not names:
        return [ok("online", "no provider is on: nobody was asked")]
    answers: dict[tuple[str, bool], _Answer] = {}

    async def ask(name: str, *, with_key: bool) -> None:
        read = settings if with_key else settings.model_copy(update={KEY_FIELDS[name]: _made_up(name)})
        answer = await _asked(case, read, name)
        if answer is not None:
            answers[name, with_key] = answer

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(partial(ask, name, with_key=True))
            tasks.start_soon(partial(ask, name, with_key=False))
    told = [_told(case, name, answers[name, True], answers[name, False]) for name in names if (name, True) in answers]
    return [*told, *_clock([answer for (_, with_key), answer in answers.items() if with_key])]


def _made_up(name: str) -> SecretStr:
    return SecretStr(keys.made_up(name))


async def _asked(case: Case, settings: Settings, name: str) -> _Answer | None:
    """Ask one host for no job; `None` where it is off."""
    witness = Witness(
        guard=Guard(trusted=settings.base_urls),
        proxy=settings.kontext_proxy,
        redact=Redactor([*settings.secrets, *case.read.secrets]),
        within_s=case.patience_s,
    )
    provider = adapter(name, settings, witness)
    if provider is None:
        return None
    failure: Failure | None = None
    try:
        await provider.fetch(NO_SUCH_JOB)
    except FetchFailed as failed:
        failure = failed.failure
    finally:
        await witness.aclose()
    return _Answer(reply=witness.reply, trouble=witness.trouble, failure=failure, at=case.clock.now())


def _told(case: Case, provider: str, own: _Answer, control: _Answer) -> Finding:
    name, variable = f"{provider} online", KEY_VARIABLES[provider]
    if own.reply is None or own.trouble is not None:
        return _unreached(case, name, provider, own.trouble or Trouble.OTHER)
    status = own.reply.status
    code = "" if own.failure is None else own.failure.code
    if own.refused:
        # Not in the host's own words: some repeat a part of the key.
        cause = f"it refuses the key in {variable} (HTTP {status})"
        return fail(name, cause, f"Set a valid key of {provider}'s in {variable}.", of_settings=True)
    if code == OutOfCredit.code:
        return warn(name, f"it takes the key, and the account has no credit (HTTP {status})", "Add credit there.")
    if code == RateLimited.code or status >= 500:
        return warn(name, f"reached; it does not serve at the moment (HTTP {status})", "Try again in a few minutes.")
    if 300 <= status < 400 or (status < 300 and own.reply.json() is None):
        base = f"{provider.replace('.', '_').upper()}_BASE_URL"
        cause = f"something answers that is not {provider}'s API (HTTP {status})"
        return fail(name, cause, f"Look at {base} and KONTEXT_PROXY; or sign in to this network.", of_settings=True)
    if control.refused:
        return ok(name, f"reached; it takes the key in {variable}")
    return ok(name, f"reached (HTTP {status}); the key cannot be proven without spending")


def _unreached(case: Case, name: str, provider: str, trouble: Trouble) -> Finding:
    base = f"{provider.replace('.', '_').upper()}_BASE_URL"
    proxy = case.read.kontext_proxy
    address: str = getattr(case.read, base.lower())
    host = urlsplit(address).hostname
    where = f"{host} through KONTEXT_PROXY" if proxy else host
    mend = {
        Trouble.NAME: f"Look at the network connection, {base} and KONTEXT_PROXY.",
        Trouble.TLS: "Look at this machine's clock, and for a proxy, firewall or sign-in page that opens TLS.",
    }
    otherwise = "Look at KONTEXT_PROXY." if proxy else f"Look at the network, at {base}, or set KONTEXT_PROXY."
    return fail(name, f"{where} is not reached: {trouble.value}", mend.get(trouble, otherwise))


def _clock(answers: Sequence[_Answer]) -> Sequence[Finding]:
    """Compare our clock with the hosts'; the nearest counts, for a host's may be wrong too."""
    skews = [abs(answer.at - told) for answer in answers if (told := _date(answer.reply)) is not None]
    if not skews:
        return []
    skew = min(skews)
    if skew <= MOST_SKEW:
        return [ok("clock", "agrees with the providers'")]
    minutes = round(skew.total_seconds() / 60)
    cause = f"differs from the providers' by {minutes} minutes: signed addresses may fail"
    return [warn("clock", cause, "Let this machine set its clock by the network.")]


def _date(reply: Reply | None) -> datetime | None:
    try:
        told = None if reply is None else parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return None
    return None if told is None or told.tzinfo is None else told

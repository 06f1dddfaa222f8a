"""What a check says: a name, how it stands, one line of cause, one line of mending.

What this is: values alone. What it is not: a check, or how a finding looks on a terminal. Above: every check, cli.
Below: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a thing stands: as it should, worth a look, or broken."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        name: of what was looked at; the same in every run.
        status: how it stands.
        cause: what was found, without any secret.
        fix: what a person does about it; empty where nothing is to be done.
        of_settings: whether a setting or a key is at fault, not the machine or a provider.
    """

    name: str
    status: Status
    cause: str
    fix: str = ""
    of_settings: bool = False

    def to_dict(self) -> dict[str, str]:
        """Give the public form."""
        return {"name": self.name, "status": self.status.value, "cause": self.cause, "fix": self.fix}


def ok(name: str, cause: str) -> Finding:
    """Tell that something is as it should be."""
    return Finding(name=name, status=Status.OK, cause=cause)


def warn(name: str, cause: str, fix: str) -> Finding:
    """Tell what works, but not as a person may think, or not for long."""
    return Finding(name=name, status=Status.WARN, cause=cause, fix=fix)


def fail(name: str, cause: str, fix: str, *, of_settings: bool = False) -> Finding:
    """Tell what does not work."""
    return Finding(name=name, status=Status.FAIL, cause=cause, fix=fix, of_settings=of_settings)

"""The contract's table: providers, cases, what does not apply and why, and the results that the run prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Expected = tuple[str, str | None, str | None]
"""Status, error code, and the outcome of a cancel."""

COMPLETED: Expected = ("completed", None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the tests must know of a provider."""

    uploads: bool = True
    generates: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case: what the simulator is scripted to do, and what must come of it.

    Attributes:
        name: a column of the table.
        faults: scripts, without the wire.
        own: a provider's own scripts, where its dialect needs others.
        expected: what must come of it.
        own_expected: a provider's own.
        charged: creates that the provider counted.
        own_charged: a provider's own count.
        cancels: whether the job is cancelled while it runs.
        only: the providers on whose wire the case exists; every one where it is empty.
    """

    name: str
    faults: tuple[Mapping[str, Any], ...] = ()
    own: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict[str, tuple[Mapping[str, Any], ...]])
    expected: Expected = COMPLETED
    own_expected: Mapping[str, Expected] = field(default_factory=dict[str, Expected])
    charged: int = 1
    own_charged: Mapping[str, int] = field(default_factory=dict[str, int])
    cancels: bool = False
    only: tuple[str, ...] = ()

    def faults_at(self, provider: str) -> tuple[Mapping[str, Any], ...]:
        """Give the scripts for a provider."""
        return self.own.get(provider, self.faults)

    def charged_at(self, provider: str) -> int:
        """Give how many creates a provider must have counted; the sandbox has no counter."""
        return 0 if provider == "sandbox" else self.own_charged.get(provider, self.charged)

    def expected_at(self, provider: str) -> Expected:
        """Give what must come of it at a provider."""
        return self.own_expected.get(provider, self.expected)


PROVIDERS: Mapping[str, Facts] = {
    "core.today": Facts(),
    "kkiai": Facts(),
    "runflow": Facts(generates=False),
    "eachlabs": Facts(uploads=False, generates=False),
    "replicate": Facts(),
    "bfl": Facts(),
    "fal": Facts(),
    "sandbox": Facts(),
}


def _create(fault: str, **more: Any) -> tuple[Mapping[str, Any], ...]:
    return ({"on": "create", "fault": fault, **more},)


def _get(fault: str, **more: Any) -> tuple[Mapping[str, Any], ...]:
    return ({"on": "get", "fault": fault, **more},)


def _file(fault: str, **more: Any) -> tuple[Mapping[str, Any], ...]:
    return ({"on": "file", "fault": fault, **more},)


_NEVER = _create("never_ends")
_NO_CANCEL: Expected = ("processing", None, "cannot_cancel")

CASES: tuple[Case, ...] = (
    Case(name="complete"),
    Case(name="slow reply", faults=_create("slow_body", interval=0.0)),
    Case(name="429 seconds", faults=_create("429", retry_after="3")),
    Case(name="429 date", faults=_create("429", retry_after_date=5)),
    Case(name="429 bare", faults=_create("429")),
    Case(name="401", faults=_create("401"), expected=("failed", "auth_failed", None), charged=0),
    Case(
        name="401 echoes key", faults=_create("error_echoes_key"), expected=("failed", "auth_failed", None), charged=0
    ),
    Case(name="402", faults=_create("402"), expected=("failed", "out_of_credit", None), charged=0),
    Case(name="422", faults=_create("422"), expected=("failed", "provider_error", None), charged=0),
    Case(
        name="moderated before",
        faults=_create("422", text="flagged as sensitive"),
        expected=("failed", "moderated", None),
        charged=0,
    ),
    Case(
        name="moderated after",
        faults=_create("moderated"),
        expected=("failed", "moderated", None),
        own_charged={"bfl": 0},
    ),
    Case(name="failed", faults=_create("fail", error="no GPU"), expected=("failed", "provider_error", None)),
    Case(name="cancelled elsewhere", faults=_create("cancelled_elsewhere"), expected=("cancelled", "cancelled", None)),
    Case(name="unknown status", faults=_get("status", status="dreaming")),
    Case(name="500 at create", faults=_create("500"), expected=("unknown", "outcome_unknown", None), charged=0),
    Case(name="500 then fine", faults=_get("500", times=2)),
    Case(name="html then fine", faults=_get("garbage", times=2)),
    Case(name="reset in a look", faults=_get("accept_then_reset")),
    Case(name="reply lost", faults=_create("accept_then_reset"), expected=("unknown", "outcome_unknown", None)),
    Case(name="garbage reply", faults=_create("garbage"), expected=("unknown", "outcome_unknown", None), charged=0),
    Case(name="empty reply", faults=_create("empty"), expected=("unknown", "outcome_unknown", None), charged=0),
    Case(
        name="redirected create",
        faults=_create("redirect", url="https://example.com/"),
        expected=("failed", "provider_error", None),
        charged=0,
    ),
    Case(name="output expired once", faults=_file("expired")),
    Case(name="output 404", faults=_file("404", times="always"), expected=("failed", "result_expired", None)),
    Case(name="output reset once", faults=_file("accept_then_reset")),
    Case(
        name="output to private IP",
        faults=_file("redirect", url="https://169.254.169.254/x"),
        expected=("failed", "result_invalid", None),
    ),
    Case(name="output wrong type once", faults=_file("wrong_type")),
    Case(
        name="output wrong type",
        faults=_file("wrong_type", times="always"),
        expected=("failed", "result_invalid", None),
    ),
    Case(name="output oversize", faults=_file("oversize"), expected=("failed", "result_invalid", None)),
    Case(name="output as data URI", faults=_create("data_uri")),
    Case(name="slow job", faults=_create("none", seconds=0.3)),
    Case(name="output before the end", faults=_create("early_output"), only=("replicate", "kkiai")),
    Case(
        name="ended, output removed",
        faults=_create("data_removed"),
        expected=("failed", "result_expired", None),
        only=("replicate", "kkiai"),
    ),
    Case(name="partly succeeded", faults=_create("partial_succeeded"), only=("runflow",)),
    Case(name="runs surface gone", faults=_create("surface_gone", times="always"), only=("runflow",)),
    Case(
        name="version mismatch",
        faults=({"on": "model", "version": "1.0.0"},),
        only=("eachlabs",),
    ),
    Case(
        name="flagged image",
        faults=_create("nsfw"),
        expected=("failed", "moderated", None),
        only=("fal",),
    ),
    Case(
        name="cancel",
        faults=_NEVER,
        cancels=True,
        expected=("cancelled", "cancelled", "cancelled"),
        own_expected={
            "kkiai": _NO_CANCEL,
            "runflow": _NO_CANCEL,
            "bfl": ("pending", None, "cannot_cancel"),
        },
    ),
)

NOT_APPLICABLE: dict[tuple[str, str], str] = {
    ("sandbox", "*"): "no network, so no fault of one; a restart and a cancel are tested beside it",
    ("bfl", "cancelled elsewhere"): "BFL has no cancelled state",
    ("fal", "cancelled elsewhere"): "fal has no cancelled state",
    ("bfl", "output as data URI"): "BFL gives addresses only",
    ("eachlabs", "output as data URI"): "Eachlabs gives addresses only",
}

CELL = "contract cell"
"""Name of the property by which a test tells its cell: `provider|case|result`."""

Cells = Mapping[tuple[str, str], str]


def reason_against(provider: str, case: Case) -> str | None:
    """Give why a case does not apply to a provider; `None` where it does."""
    if case.only and provider not in case.only:
        return f"{case.name} exists on the wire of {' and '.join(case.only)} alone"
    return NOT_APPLICABLE.get((provider, case.name)) or NOT_APPLICABLE.get((provider, "*" if case.faults else ""))


def table(cells: Cells) -> list[str]:
    """Give the table's lines: a row for each case, a column for each provider, and the reasons below."""
    if not cells:
        return []
    names = [case.name for case in CASES if any((provider, case.name) in cells for provider in PROVIDERS)]
    lines = [f"{'case':<22}" + "".join(f"{provider:<12}" for provider in PROVIDERS)]
    for name in names:
        results = [cells.get((provider, name), "-").partition(":")[0] for provider in PROVIDERS]
        lines.append(f"{name:<22}" + "".join(f"{result:<12}" for result in results))
    reasons = {
        result[5:] if " alone" in result else f"{provider}: {result[5:]}"
        for (provider, _), result in cells.items()
        if result.startswith("n/a")
    }
    return [*lines, *sorted(reasons)]

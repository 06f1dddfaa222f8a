"""Values to JSON documents and back, shared by every store.

What a query needs is a column; everything else of a job or a send lies in its document. Above: the stores.
Below: jobs, edits, images, changes, budget, errors.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from kontext_tools.budget import Cost, Price, Unit
from kontext_tools.changes import Change
from kontext_tools.edits import Edit
from kontext_tools.errors import Failure, StorageDamaged
from kontext_tools.images import ImageFacts
from kontext_tools.jobs import Job, Send, SendState, Sought, Source, SourceKind
from kontext_tools.plans import Part, Plan, Step

P = ParamSpec("P")
T = TypeVar("T")

NO_BEFORE = "The picture that it was made from was deleted, so there is no 'before'."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_text = json.JSONEncoder(ensure_ascii=False).encode


def to_us(moment: datetime) -> int:
    """Give UTC microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Read what `to_us` gave."""
    return _EPOCH + timedelta(microseconds=us)


def _moment(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else to_us(moment)


def source_to_dict(source: Source) -> dict[str, Any]:
    """Give a source's document."""
    return {
        "kind": source.kind.value,
        "facts": None if source.facts is None else source.facts.to_dict(),
        "blob": source.blob,
        "url": source.url,
        "parent": source.parent,
    }


def source_from_dict(data: dict[str, Any]) -> Source:
    """Read what `source_to_dict` gave."""
    facts = data["facts"]
    return Source(
        kind=SourceKind(data["kind"]),
        facts=None if facts is None else ImageFacts.from_dict(facts),
        blob=data["blob"],
        url=data["url"],
        parent=data["parent"],
    )


def _price_to_list(price: Price) -> list[str | None]:
    return [None if price.amount is None else str(price.amount), price.unit.value]


def _price_from(amount: str | None, unit: str) -> Price:
    return Price(amount=None if amount is None else Decimal(amount), unit=Unit(unit))


_OF_AN_EDIT = tuple(field.name for field in fields(Edit))


def _edit_to_dict(edit: Edit) -> dict[str, Any]:
    return {name: getattr(edit, name) for name in _OF_AN_EDIT} | {"given": sorted(edit.given)}


def _edit_from(data: dict[str, Any]) -> Edit:
    fields_: dict[str, Any] = data | {"given": frozenset(data["given"])}
    return Edit(**fields_)


def _plan_to_dict(plan: Plan) -> dict[str, Any]:
    return {
        "steps": [
            {
                "id": step.id,
                "edit": _edit_to_dict(step.edit),
                "source": None if step.source is None else source_to_dict(step.source),
                "depth": step.depth,
            }
            for step in plan.steps
        ],
        "max_cost": None if plan.max_cost is None else _price_to_list(plan.max_cost),
        "resumed_from": plan.resumed_from,
        "agreed": [_price_to_list(price) for price in plan.agreed],
    }


def _plan_from(data: dict[str, Any]) -> Plan:
    return Plan(
        steps=tuple(
            Step(
                id=step["id"],
                edit=_edit_from(step["edit"]),
                source=None if step["source"] is None else source_from_dict(step["source"]),
                depth=step["depth"],
            )
            for step in data["steps"]
        ),
        max_cost=None if data["max_cost"] is None else _price_from(*data["max_cost"]),
        resumed_from=data["resumed_from"],
        # A plan of before held whether, not how much: such a yes is to nothing more.
        agreed=() if isinstance(data["agreed"], bool) else tuple(_price_from(*price) for price in data["agreed"]),
    )


def job_doc(job: Job) -> str:
    """Give the document of a job: what no column holds."""
    return _text(
        {
            "edit": _edit_to_dict(job.edit),
            "source": None if job.source is None else source_to_dict(job.source),
            "sent_prompt": job.sent_prompt,
            "request": job.request,
            "model": job.model,
            "depth": job.depth,
            "change": None if job.change is None else job.change.to_dict(),
            "warnings": list(job.warnings),
            "agreed": None if job.agreed is None else _price_to_list(job.agreed),
            "part": None if job.part is None else [job.part.plan_id, job.part.step, job.part.run],
            "plan": None if job.plan is None else _plan_to_dict(job.plan),
        }
    )


def without_before(doc: str) -> str:
    """Give a job's document without the picture that it started from, for that was deleted; a damaged one as it is."""
    try:
        data: dict[str, Any] = json.loads(doc)
        kind = data["source"]["kind"]
        warnings = [*data["warnings"], NO_BEFORE]
    except (ValueError, TypeError, KeyError):
        return doc
    source = source_to_dict(Source(kind=SourceKind(kind)))
    return _text({**data, "source": source, "warnings": warnings})


def damaged() -> StorageDamaged:
    """Give the failure of a database that does not hold what we wrote."""
    return StorageDamaged(
        "The database is not sound; nothing was overwritten and nothing sent.",
        fix="A person must move kontext.db aside (a copy is worth keeping) or set KONTEXT_DATA_DIR to another folder.",
    )


def _sound(read: Callable[P, T]) -> Callable[P, T]:
    """Tell a document that is not as we wrote it as what it is: a damaged database."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError) as error:
            raise damaged() from error

    return reading


@_sound
def document(doc: str) -> dict[str, Any]:
    """Read a document that is nobody's but its writer's."""
    return dict(json.loads(doc))


@_sound
def job_fields(doc: str) -> dict[str, Any]:
    """Read what `job_doc` gave, as arguments of `Job`."""
    data = json.loads(doc)
    return {
        "edit": _edit_from(data["edit"]),
        "source": None if data["source"] is None else source_from_dict(data["source"]),
        "sent_prompt": data["sent_prompt"],
        "request": data["request"],
        "model": data["model"],
        "depth": data["depth"],
        "change": None if data["change"] is None else Change.from_dict(data["change"]),
        "warnings": tuple(data["warnings"]),
        # Jobs of before there was a question have none.
        "agreed": None if data.get("agreed") is None else _price_from(*data["agreed"]),
        # Nor were there plans.
        "part": None if data.get("part") is None else _part_from(*data["part"]),
        "plan": None if data.get("plan") is None else _plan_from(data["plan"]),
    }


def _part_from(plan_id: str, step: str, run: int) -> Part:
    return Part(plan_id=plan_id, step=step, run=run)


@_sound
def failure_from(doc: str) -> Failure:
    """Read a failure's document."""
    return Failure.from_dict(json.loads(doc))


_IN_COLUMNS = frozenset({"job_id", "n", "state", "due_at", "fence"})
_PLAIN = tuple(
    field.name
    for field in fields(Send)
    if field.name not in _IN_COLUMNS
    and field.name
    not in {"price", "cost", "failure", "pending_urls", "first_attempt_at", "sent_at", "ended_at", "sought"}
)


def send_doc(send: Send) -> str:
    """Give the document of a send."""
    data: dict[str, Any] = {name: getattr(send, name) for name in _PLAIN}
    data |= {
        "price": _price_to_list(send.price),
        "cost": None if send.cost is None else send.cost.to_dict(),
        "failure": None if send.failure is None else send.failure.to_dict(),
        "pending_urls": [list(pair) for pair in send.pending_urls],
        "first_attempt_us": _us(send.first_attempt_at),
        "sent_us": _us(send.sent_at),
        "ended_us": _us(send.ended_at),
        "sought": send.sought.value,
    }
    return _text(data)


@_sound
def send_from(job_id: str, n: int, state: str, due_us: int, fence: int, doc: str) -> Send:
    """Read a send's columns and what `send_doc` gave."""
    data = json.loads(doc)
    price = _price_from(*data.pop("price"))
    cost, failure = data.pop("cost"), data.pop("failure")
    urls: list[list[Any]] = data.pop("pending_urls")
    first, sent, ended = data.pop("first_attempt_us"), data.pop("sent_us"), data.pop("ended_us")
    sought = Sought(data.pop("sought", Sought.NO))  # not in a row of before there were searches
    return Send(
        job_id=job_id,
        n=n,
        state=SendState(state),
        due_at=from_us(due_us),
        fence=fence,
        price=price,
        cost=None if cost is None else Cost.from_dict(cost),
        failure=None if failure is None else Failure.from_dict(failure),
        pending_urls=tuple((url, seed) for url, seed in urls),
        first_attempt_at=_moment(first),
        sent_at=_moment(sent),
        ended_at=_moment(ended),
        sought=sought,
        **data,
    )

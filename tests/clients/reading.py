"""What a model reads out of an answer, done by rule: the facts, the call that comes next, the call mended as told.

What this is: everything that a scripted agent knows comes through here, from the text alone where a client gives
only text, from the structured content alone where it gives only that. What it is not: a copy of the server's
shapes; a fact that cannot be read is missing, and the scenario fails for it. No third-party import: each
framework's own interpreter loads it. Above: scenarios.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_REF = r"[a-z0-9-]+-[0-9a-z]{4}/\d+"
_WORDS = {"edited": "completed", "generated": "completed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that the scripted model makes."""

    tool: str
    arguments: Mapping[str, Any]

    def but(self, **arguments: Any) -> Call:
        """Give the same call with some arguments set."""
        return replace(self, arguments={**self.arguments, **arguments})


def call(tool: str, **arguments: Any) -> Call:
    """Give a call."""
    return Call(tool=tool, arguments=arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One answer as a client gives it to the model.

    Attributes:
        text: all text blocks.
        fields: the structured content, `None` where the client gives none.
        pictures: how many pictures came along.
    """

    text: str = ""
    fields: Mapping[str, Any] | None = None
    pictures: int = 0

    def only(self, kind: str) -> Shown:
        """Give it with nothing but `text`, or nothing but `structured` content; `all` of it otherwise.

        Raises:
            AssertionError: the client does not give that kind.
        """
        if kind == "text":
            assert self.text, "the client gives the model no text"
            return replace(self, fields=None)
        if kind == "structured":
            assert self.fields is not None, "the client gives the model no structured content"
            return Shown(fields=self.fields)
        return self

    @property
    def facts(self) -> Facts:
        """What can be read out of it."""
        return _of_fields(self.fields) if self.fields is not None else _of_text(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A run of a plan's step: how it stands, its references, and whether it came from the plan before."""

    id: str
    status: str
    refs: tuple[str, ...]
    reused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read out of one answer; empty where it does not say."""

    job_id: str = ""
    status: str = ""
    refs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    joined: bool = False
    steps: tuple[Step, ...] = ()
    cost: str = ""
    code: str = ""
    field: str = ""
    fix: str = ""
    next: str = ""

    def step(self, step_id: str) -> Step:
        """Give one step of a plan."""
        (found,) = [step for step in self.steps if step.id == step_id]
        return found


def named_call(sentence: str, tool: str) -> Call:
    """Give a tool's call as a sentence spells it out, such as `Call get_status(job_id='red-car-4k7q').`

    Raises:
        AssertionError: it spells out none.
    """
    spelled = re.search(rf"\b({tool}\([^()]*\))", sentence)
    assert spelled is not None, f"no call of {tool} is spelled out in {sentence!r}"
    read = ast.parse(spelled[1], mode="eval").body
    assert isinstance(read, ast.Call) and isinstance(read.func, ast.Name)
    named = {argument.arg: ast.literal_eval(argument.value) for argument in read.keywords if argument.arg}
    return Call(tool=read.func.id, arguments=named)


def mended(refused: Call, facts: Facts) -> Call:
    """Give a refused call as its `fix` says to make it again.

    Raises:
        AssertionError: the fix cannot be followed by rule.
    """
    set_to = re.findall(r"(\w+)='([^']*)'", facts.fix)
    if set_to:
        return refused.but(**dict(set_to))
    offered = re.search(r"one of[^:]*: (.+?)(?:, |\.$)", facts.fix)
    assert offered is not None and facts.field, f"the fix cannot be followed: {facts.fix!r}, field {facts.field!r}"
    return refused.but(**{facts.field: offered[1]})


def resumed_id(sentence: str) -> str:
    """Give the resume_job_id that a sentence names."""
    named = re.search(r"resume_job_id='([^']+)'", sentence)
    assert named is not None, f"no resume_job_id is named in {sentence!r}"
    return named[1]


def _of_fields(fields: Mapping[str, Any]) -> Facts:
    error: Mapping[str, Any] = fields.get("error") or {}
    images: list[Mapping[str, Any]] = fields.get("images") or []
    cost: Mapping[str, Any] = fields.get("cost") or {}
    steps: list[Mapping[str, Any]] = fields.get("steps") or []
    return Facts(
        job_id=fields.get("job_id") or error.get("job_id") or "",
        status=fields.get("status", ""),
        refs=tuple(image["ref"] for image in images),
        paths=tuple(image["path"] for image in images if "path" in image),
        joined=fields.get("joined", False),
        steps=tuple(
            Step(
                id=step["id"],
                status=step["status"],
                refs=tuple(image["ref"] for image in step["images"]),
                reused=step.get("reused", False),
            )
            for step in steps
        ),
        cost=f"{cost['amount']} {cost['unit']}" if cost else "",
        code=error.get("code", ""),
        field=error.get("field", ""),
        fix=error.get("fix", ""),
        next=fields.get("next", ""),
    )


def _of_text(text: str) -> Facts:
    first = text.partition("\n")[0]
    head = re.match(r"(?:Still |Plan )?(\w+):", first)
    cost = re.search(r"\([\w.]+, ([\d.]+ \w+),", first)
    return Facts(
        job_id=_first(r"\b[Jj]ob ([a-z0-9-]+)", text),
        status=_WORDS.get(head[1].lower(), head[1].lower()) if head else "",
        refs=tuple(re.findall(rf"(?:^|[:;] |completed )({_REF}): ", text, re.MULTILINE)),
        paths=tuple(re.findall(r", file (/.+?\.(?:png|jpg))", text)),
        joined="joined the earlier identical call" in first,
        steps=tuple(
            Step(id=name, status=status, refs=tuple(re.findall(rf"({_REF}): ", rest)), reused="reused" in rest)
            for name, status, rest in re.findall(r"^- (\w+): (\w+)(.*)$", text, re.MULTILINE)
        ),
        cost=cost[1] if cost else "",
        code=_first(r"\(code (\w+)", text),
        field=_first(r", field (\w+)", text),
        fix=_first(r"^Fix: (.+)$", text),
        next=_first(r"^Next: (.+)$", text),
    )


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""

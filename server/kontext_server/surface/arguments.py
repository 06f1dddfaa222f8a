"""Reads arguments as models send them, and teaches what it can't read.

What this is: one table of parameters from which both the published schema and the reader follow. `"2"`, `"true"`,
`2.0`, `null`, `PNG`, `16x9`, a reference in backticks and the providers' own names are taken; what is ambiguous or
unknown is refused with the nearest name. What it is not: a tool's words (`tools`) or what a provider honours
(`choosing`). A value that was sent is never repeated in a refusal. Above: tools. Below: errors.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kontext_tools.errors import InvalidArgument


class Kind(StrEnum):
    """How a parameter is read."""

    TEXT = "text"
    NAME = "name"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"


_JSON_TYPES = {
    Kind.TEXT: "string",
    Kind.NAME: "string",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "number",
    Kind.FLAG: "boolean",
    Kind.CHOICE: "string",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a tool.

    Attributes:
        name: as published.
        kind: how it is read.
        description: what the model reads.
        required: whether a call without it is refused.
        default: what it is when it is not given; `None` for "left to the provider".
        choices: of a CHOICE.
        spellings: other spellings of a choice, lower-case.
        minimum: of a number, inclusive.
        maximum: likewise.
        closest: gives the choice nearest to a text, where spelling is not what makes it near.
        published_maximum: told in its place, where no configured provider takes more.
        max_chars: of a text.
        aliases: the providers' own names for it.
        listed: whether the published schema shows it; it is read all the same.
    """

    name: str
    kind: Kind
    description: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict[str, str])
    minimum: float | None = None
    maximum: float | None = None
    published_maximum: float | None = None
    closest: Callable[[str], str | None] = lambda _: None
    max_chars: int = 20_000
    aliases: tuple[str, ...] = ()
    listed: bool = True

    def schema(self) -> dict[str, Any]:
        """Give the published property: flat, no keyword that breaks a client."""
        facts: dict[str, Any] = {"type": _JSON_TYPES[self.kind], "description": self.description}
        if self.choices:
            facts["enum"] = list(self.choices)
        if self.minimum is not None:
            facts["minimum"] = self.minimum
        if self.maximum is not None:
            facts["maximum"] = self.maximum if self.published_maximum is None else self.published_maximum
        if self.default not in (None, ""):
            facts["default"] = self.default
        return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What a call gave: every parameter's value, and the names of those that were set."""

    values: Mapping[str, Any]
    given: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def schema_of(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Give a tool's input schema."""
    required = [parameter.name for parameter in parameters if parameter.required]
    listed = {parameter.name: parameter.schema() for parameter in parameters if parameter.listed}
    return {"type": "object", "properties": listed, **({"required": required} if required else {})}


def read(parameters: Sequence[Parameter], raw: Mapping[str, Any] | None) -> Arguments:
    """Read a call's arguments.

    Raises:
        InvalidArgument: an unknown name, two names for one parameter, a missing one, or a value that no provider
            takes; the fix names what to write instead.
    """
    by_name = {name: parameter for parameter in parameters for name in (parameter.name, *parameter.aliases)}
    sent: dict[str, Any] = {}
    for name, value in (raw or {}).items():
        parameter = by_name.get(name)
        if parameter is None:
            raise _unknown_name(name, by_name)
        if _is_filler(parameter, value):
            continue
        if parameter.name in sent and sent[parameter.name] != value:
            raise _wrong(parameter, "is given twice under different names", f"Give {parameter.name} once")
        sent[parameter.name] = value
    for parameter in parameters:
        if parameter.required and parameter.name not in sent:
            raise _wrong(parameter, "is missing", f"Call again with {parameter.name}: {parameter.description[:-1]}")
    read_ = {name: _READERS[by_name[name].kind](by_name[name], value) for name, value in sent.items()}
    defaults = {parameter.name: parameter.default for parameter in parameters}
    return Arguments(values=defaults | read_, given=frozenset(read_))


def _is_filler(parameter: Parameter, value: Any) -> bool:
    """Strict clients must fill every parameter: `null`, and an empty string for anything but a required text."""
    if value is None:
        return True
    return value == "" and not (parameter.required and parameter.kind is Kind.TEXT)


def _text(parameter: Parameter, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(parameter, "is not a text", f"Give {parameter.name} as one string")
    text = str(value)
    if len(text) > parameter.max_chars:
        raise _wrong(parameter, f"has more than {parameter.max_chars} characters", f"Shorten {parameter.name}")
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise _wrong(parameter, "holds a character that is none", f"Give {parameter.name} as plain text")
    return text


def _name(parameter: Parameter, value: Any) -> str:
    return _text(parameter, value).strip().strip("`'\"<>").strip()


def _integer(parameter: Parameter, value: Any) -> int:
    number = _number(parameter, value)
    if number != int(number):
        raise _wrong(parameter, "is not a whole number", f"Give {parameter.name} as {_range_of(parameter)}")
    return int(number)


def _number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, str):
        value = _number_in(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == math.inf:
        raise _wrong(parameter, "is not a number", f"Give {parameter.name} as {_range_of(parameter)}")
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        nearest = low if low is not None and value < low else high
        raise _wrong(
            parameter,
            f"is outside its range, {_range_of(parameter)}",
            f"Call again with {parameter.name}={nearest:.10g}",
        )
    return value


def _number_in(text: str) -> Any:
    if not re.fullmatch(r"[+-]?\d{1,20}(?:\.\d{1,20})?", text):
        return text
    return int(text) if "." not in text else float(text)


def _flag(parameter: Parameter, value: Any) -> bool:
    if isinstance(value, str):
        value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            value.strip().lower()
        )
    if value in (0, 1):
        return bool(value)
    raise _wrong(parameter, "is neither true nor false", f"Give {parameter.name} as true or false")


def _choice(parameter: Parameter, value: Any) -> str:
    text = _name(parameter, value).lower()
    text = parameter.spellings.get(text, text)
    if text in parameter.choices:
        return text
    near = difflib.get_close_matches(text, parameter.choices, n=1, cutoff=0.3)
    example = parameter.closest(text) or next(iter(near), parameter.choices[0])
    raise _wrong(
        parameter,
        f"takes one of: {', '.join(parameter.choices)}",
        f"Call again with {parameter.name}='{example}'",
    )


_READERS: Mapping[Kind, Callable[[Parameter, Any], Any]] = {
    Kind.TEXT: _text,
    Kind.NAME: _name,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.FLAG: _flag,
    Kind.CHOICE: _choice,
}


def _range_of(parameter: Parameter) -> str:
    if parameter.minimum is None or parameter.maximum is None:
        return "a number"
    return f"{parameter.minimum:.10g} to {parameter.maximum:.10g}"


def _wrong(parameter: Parameter, what: str, fix: str) -> InvalidArgument:
    return InvalidArgument(f"{parameter.name} {what}; nothing was sent.", fix=f"{fix}.", field=parameter.name)


def _unknown_name(name: str, by_name: Mapping[str, Parameter]) -> InvalidArgument:
    known = sorted({parameter.name for parameter in by_name.values() if parameter.listed})
    near = difflib.get_close_matches(name.lower(), list(by_name), n=1, cutoff=0.5)
    if near:
        mend = f"Call again with {by_name[near[0]].name} instead."
    else:
        mend = f"Call again without it; the names are: {', '.join(known)}."
    return InvalidArgument("There is an argument of a name that this tool does not take; nothing was sent.", fix=mend)

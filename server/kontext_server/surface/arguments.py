"""A tool's parameters as facts, from which both the published schema and the reader follow.

What this is: what a parameter is called, what it takes, and how it is published. What it is not: the reading of what a
model sent (`reading`), or the tools' own parameters (`parameters`). Above: parameters, reading. Below: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast


class Kind(StrEnum):
    """How a parameter is read."""

    TEXT = "text"
    NAME = "name"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    NAMES = "names"
    OBJECTS = "objects"


_JSON_TYPES = {
    Kind.TEXT: "string",
    Kind.NAME: "string",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "number",
    Kind.FLAG: "boolean",
    Kind.CHOICE: "string",
    Kind.NAMES: "array",
    Kind.OBJECTS: "array",
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
        max_items: of a list; it has at least one.
        fields: of each OBJECT of a list.
        aliases: the providers' own names for it.
        listed: whether the published schema shows it; it is read all the same.
        choices_listed: whether it shows the choices, which may stand with another tool.
        elsewhere: the call to make instead, where another tool takes it and this one does not.
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
    max_items: int = 1
    fields: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()
    listed: bool = True
    choices_listed: bool = True
    elsewhere: str = ""

    def schema(self) -> dict[str, Any]:
        """Give the published property: flat, no keyword that breaks a client."""
        facts: dict[str, Any] = {"type": _JSON_TYPES[self.kind], "description": self.description}
        if self.choices and self.choices_listed:
            facts["enum"] = list(self.choices)
        if self.minimum is not None:
            facts["minimum"] = self.minimum
        if self.maximum is not None:
            facts["maximum"] = self.maximum if self.published_maximum is None else self.published_maximum
        if self.kind in (Kind.NAMES, Kind.OBJECTS):
            facts["items"] = schema_of(self.fields) if self.fields else {"type": "string"}
            facts["maxItems"] = self.max_items
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

    def sent(self) -> dict[str, Any]:
        """Give what was set as JSON holds it: read again, it is the same."""
        return {name: _sent(self.values[name]) for name in sorted(self.given)}


def _sent(value: Any) -> Any:
    if isinstance(value, Arguments):
        return value.sent()
    return [_sent(item) for item in cast("tuple[Any, ...]", value)] if isinstance(value, tuple) else value


def schema_of(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Give a tool's input schema."""
    required = [parameter.name for parameter in parameters if parameter.required]
    listed = {parameter.name: parameter.schema() for parameter in parameters if parameter.listed}
    return {"type": "object", "properties": listed, **({"required": required} if required else {})}

"""Reads arguments as models send them, and teaches what it can't read.

What this is: `"2"`, `"true"`, `2.0`, `null`, `PNG`, `16x9`, a reference in backticks, a list as JSON text, one item
where a list is wanted and the providers' own names are taken; what is ambiguous or unknown is refused with the nearest
name. What it is not: what a parameter is (`arguments`) or what a provider honours (`choosing`). A value that was sent
is never repeated in a refusal. Above: tools, cli. Below: arguments, errors.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from kontext_server.surface.arguments import Arguments, Kind, Parameter
from kontext_tools.errors import InvalidArgument

MAX_NAME_CHARS = 100


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
        if parameter.elsewhere:
            raise _wrong(parameter, "is not taken by this tool", parameter.elsewhere)
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
    if isinstance(value, bool) or not (isinstance(value, str) or _is_short_number(value)):
        raise _wrong(parameter, "is not a text", f"Give {parameter.name} as one string")
    text = str(value)
    if len(text) > parameter.max_chars:
        raise _wrong(parameter, f"has more than {parameter.max_chars} characters", f"Shorten {parameter.name}")
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise _wrong(parameter, "holds a character that is none", f"Give {parameter.name} as plain text")
    return text


def _is_short_number(value: Any) -> bool:
    """A number stands for its text where it may have been meant; none that is not one, or that has no end."""
    return isinstance(value, int | float) and abs(value) < 1e20


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
    example = parameter.closest(text) or _nearest(text, parameter.choices, cutoff=0.3) or parameter.choices[0]
    raise _wrong(
        parameter,
        f"takes one of: {', '.join(parameter.choices)}",
        f"Call again with {parameter.name}='{example}'",
    )


def _names(parameter: Parameter, value: Any) -> tuple[str, ...]:
    return tuple(_name(replace(parameter, name=f"{parameter.name}[{i}]"), item) for i, item in _items(parameter, value))


def _objects(parameter: Parameter, value: Any) -> tuple[Arguments, ...]:
    return tuple(_object(parameter, i, _opened(item)) for i, item in _items(parameter, value))


def _object(parameter: Parameter, i: int, value: Any) -> Arguments:
    where = f"{parameter.name}[{i}]"
    if not isinstance(value, dict):
        names = ", ".join(field.name for field in parameter.fields)
        raise _wrong(replace(parameter, name=where), "is not an object", f"Give {where} as an object with: {names}")
    try:
        return read(parameter.fields, cast("dict[str, Any]", value))
    except InvalidArgument as error:
        raise error.within(where) from None


def _items(parameter: Parameter, value: Any) -> Iterator[tuple[int, Any]]:
    """Give a list's items by number from 0: what came as JSON is opened, what came alone is a list of one."""
    value = _opened(value)
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not 1 <= len(items) <= parameter.max_items:
        raise _wrong(
            parameter,
            f"takes 1 to {parameter.max_items} items",
            f"Call again with 1 to {parameter.max_items} in {parameter.name}",
        )
    return enumerate(items)


def _opened(value: Any) -> Any:
    """Give what a JSON text holds, where it is the text of a list or of an object; anything else as it stands."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


_READERS: Mapping[Kind, Callable[[Parameter, Any], Any]] = {
    Kind.TEXT: _text,
    Kind.NAME: _name,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.FLAG: _flag,
    Kind.CHOICE: _choice,
    Kind.NAMES: _names,
    Kind.OBJECTS: _objects,
}


def _range_of(parameter: Parameter) -> str:
    if parameter.minimum is None or parameter.maximum is None:
        return "a number"
    return f"{parameter.minimum:.10g} to {parameter.maximum:.10g}"


def _wrong(parameter: Parameter, what: str, fix: str) -> InvalidArgument:
    return InvalidArgument(f"{parameter.name} {what}; nothing was sent.", fix=f"{fix}.", field=parameter.name)


def _nearest(text: str, names: Iterable[str], *, cutoff: float) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(text, list(names), n=1, cutoff=cutoff)), None)


def _unknown_name(name: str, by_name: Mapping[str, Parameter]) -> InvalidArgument:
    known = sorted({parameter.name for parameter in by_name.values() if parameter.listed})
    # No name is so long: a longer one is like none of them, and looking through it would take its time and memory.
    begun = name[:MAX_NAME_CHARS].lower()
    # A name within a longer one is found among the published names; of the hosts' names only slips of the pen count.
    near = _nearest(begun, by_name, cutoff=0.75) or _nearest(begun, known, cutoff=0.6)
    if near:
        mend = f"Call again with {by_name[near].name} instead."
    else:
        mend = f"Call again without it; the names are: {', '.join(known)}."
    return InvalidArgument("There is an argument of a name that this tool does not take; nothing was sent.", fix=mend)

"""Options made from the tools' own parameters, so that the command line and a model are offered the same.

What this is: one table read a second time. What it is not: the reading of values, which are passed on as they were
typed. Above: edit, generate. Below: surface.parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from kontext_server.surface.arguments import Kind, Parameter
from kontext_tools.choosing import AUTO, HOSTED, SANDBOX

F = TypeVar("F", bound=Callable[..., Any])

_NOT_OPTIONS = frozenset({"image", "prompt", "wait_seconds"})
"""The first two are given without a name; a person waits until the end."""
_SHORT: Mapping[str, tuple[str, ...]] = {"num_images": ("-n",)}
_METAVARS: Mapping[Kind, str] = {
    Kind.TEXT: "TEXT",
    Kind.NAME: "NAME",
    Kind.INTEGER: "NUMBER",
    Kind.NUMBER: "NUMBER",
    Kind.CHOICE: "CHOICE",
}


def of_parameters(parameters: Sequence[Parameter]) -> Callable[[F], F]:
    """Give a decorator that adds an option for each parameter."""

    def add(command: F) -> F:
        for parameter in reversed([each for each in parameters if each.name not in _NOT_OPTIONS]):
            command = _option(parameter)(command)
        return command

    return add


def of_the_result(command: F) -> F:
    """Add what the command line alone offers: where the result goes, and how it is told."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Answer as JSON."),
        click.option("--force", is_flag=True, help="With -o: overwrite what is there."),
        click.option("-o", "--output", type=path, help="Copy the result to this file; its ending chooses the format."),
    ):
        command = option(command)
    return command


def _option(parameter: Parameter) -> Callable[[F], F]:
    names = (f"--{parameter.name.replace('_', '-')}", *_SHORT.get(parameter.name, ()), parameter.name)
    if parameter.kind is Kind.FLAG:
        return click.option(*names, is_flag=True, default=None, help=parameter.description)
    return click.option(*names, metavar=_METAVARS[parameter.kind], help=_help(parameter))


def _help(parameter: Parameter) -> str:
    facts: list[str] = []
    if parameter.name == "provider":
        facts.append(", ".join((AUTO, *HOSTED, SANDBOX)))
    elif parameter.choices:
        facts.append(", ".join(parameter.choices))
    if parameter.minimum is not None and parameter.maximum is not None:
        facts.append(f"{parameter.minimum:.10g} to {parameter.maximum:.10g}")
    if parameter.default not in (None, ""):
        facts.append(f"default {parameter.default}")
    return f"{parameter.description} [{'; '.join(facts)}]" if facts else parameter.description

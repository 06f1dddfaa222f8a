"""Options follow the tools' parameters."""

from __future__ import annotations

import click
import pytest

from kontext_server.cli import edit, generate
from kontext_server.surface import parameters
from kontext_server.surface.arguments import Parameter

OURS = {"output", "force", "as_json"}


@pytest.mark.parametrize(
    ("command", "table"),
    [(edit.command, parameters.edit_image({}, 0)), (generate.command, parameters.generate_image({}, 0))],
    ids=["edit", "generate"],
)
def test_every_parameter_of_the_tool_is_offered_and_no_other(
    command: click.Command, table: tuple[Parameter, ...]
) -> None:
    offered = {parameter.name for parameter in command.params}
    taken = {parameter.name for parameter in table if not parameter.elsewhere}
    assert offered == taken - {"wait_seconds"} | OURS


def test_help_names_choices_ranges_and_defaults() -> None:
    told = {option.name: option.help or "" for option in edit.command.params if isinstance(option, click.Option)}
    assert told["num_images"].endswith("[1 to 4; default 1]")
    assert told["output_format"].endswith("[png, jpg; default png]")
    assert "core.today" in told["provider"]
    assert told["label"] == "A few words to find it by."

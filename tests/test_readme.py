"""The README says what is so: its commands, tables and links are held against the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from kontext_server.app import build
from kontext_server.cli import COMMANDS
from kontext_server.settings import load
from kontext_server.surface.tools import Tools
from support.readme import EXAMPLE, README, ROOT, refreshed

TEXT = README.read_text(encoding="utf-8")


def test_the_generated_parts_are_fresh() -> None:
    """If this fails: python tests/support/readme.py."""
    assert refreshed(TEXT) == TEXT


def test_two_commands_of_one_line_each_do_all_the_set_up() -> None:
    blocks = re.findall(r"<!-- (first|second) -->\n\n((?:    .+\n)+)\n<!-- /\1 -->", TEXT)
    assert [(name, len(block.splitlines())) for name, block in blocks] == [("first", 1), ("second", 1)]
    assert blocks[0][1].rstrip().endswith("/kontext demo")
    assert blocks[1][1].rstrip().endswith("/pytest")


def test_the_command_table_names_every_command_and_no_other() -> None:
    block = TEXT.partition("## On the command line")[2].partition("```text\n")[2].partition("```")[0]
    assert sorted(line.split()[1] for line in block.splitlines()) == sorted(COMMANDS)


def test_the_tool_table_names_every_tool_and_no_other(tmp_path: Path) -> None:
    tools = Tools(build(load(kontext_data_dir=tmp_path)))
    table = TEXT.partition("## What the assistant gets")[2].partition("\n\nPast results")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [tool.name for tool in tools.specs]


def test_the_words_told_of_the_preview_are_those_it_takes_for_the_sizes_told(tmp_path: Path) -> None:
    (row,) = [line for line in README.read_text("utf-8").splitlines() if line.startswith("| `KONTEXT_PREVIEW`")]
    words = row.removesuffix(" |").rpartition(": ")[2].split(", ")
    taken = [load(kontext_data_dir=tmp_path, kontext_preview=word).preview_px for word in words]
    assert taken == [0, 512, 768, 1024]


def test_every_link_leads_to_a_file() -> None:
    pages = (README, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"))
    for page in pages:
        links = re.findall(r"\]\((?!https?:)([^)#]+)\)|(?:src|srcset)=\"([^\"]+)\"", page.read_text(encoding="utf-8"))
        for target in (link or picture for link, picture in links):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_first_screen_is_short_and_the_whole_bearable() -> None:
    assert len(TEXT.partition("## ")[0].splitlines()) <= 60
    assert len(TEXT.splitlines()) <= 350


def test_the_example_configuration_is_valid_and_holds_no_key() -> None:
    (entry,) = json.loads(EXAMPLE.read_text(encoding="utf-8"))["mcpServers"].values()
    assert entry["args"] == ["serve"]
    assert not any(entry["env"].values())


def test_nothing_committed_names_a_machine_or_a_registry() -> None:
    words = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "/wo" + "rk/")
    for page in [*ROOT.glob("*.md"), *ROOT.glob("*.t*"), ROOT / ".ci" / "run", *ROOT.glob("docs/**/*.md")]:
        text = page.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], page

"""The examples of README and docs, as they stand there: what is typed, what is called, and what comes of it.

What this is: a reader of three kinds of blocks. ```console holds commands after `$ ` and what each prints;
```conversation holds tools' calls and the references that they bring; ```toml and ```json hold settings. What it is
not: the running of them (`end_to_end/test_documents`).

An id in an example ends in four characters drawn at random: it stands for whichever id the same words got.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from support.readme import README, ROOT

PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
ID = re.compile(r"\b([a-z]+(?:-[a-z]+)*)-([a-z0-9]{4})\b(?=/\d|[ ,.:)']|$)")
ANYTHING = "…"


def blocks(text: str, language: str) -> list[str]:
    """Give the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A command and what it prints, in the example's words."""

    command: str
    prints: str


def typed(block: str) -> Iterator[Typed]:
    """Give a console block's commands in order."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, prints = part.partition("\n")
        yield Typed(command=command, prints=prints.strip("\n"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A tool's call and the references that it brings, in the example's words."""

    tool: str
    arguments: dict[str, Any]
    refs: list[str]


def called(block: str) -> Iterator[Called]:
    """Give a conversation's calls in order."""
    for call, brings in re.findall(r"^(\w+\(.*\))\n→ (.+)$", block, re.MULTILINE):
        tree = ast.parse(call, mode="eval").body
        assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args
        arguments = {str(word.arg): ast.literal_eval(word.value) for word in tree.keywords}
        yield Called(tool=tree.func.id, arguments=arguments, refs=brings.split(", "))


@dataclass(slots=True)
class Ids:
    """Which id each of an example's ids stands for, learnt as the example goes on."""

    known: dict[str, str] = field(default_factory=dict[str, str])

    def real(self, text: str) -> str:
        """Give text with each known id of the example as it really is."""
        return ID.sub(lambda found: self.known.get(found[0], found[0]), text)

    def learn(self, told: str, real: str) -> None:
        """Hold a line of the example against the real one. Raises AssertionError where they differ."""
        pattern, names = "", list[str]()
        at = 0
        for found in ID.finditer(told):
            pattern += _literal(told[at : found.start()])
            known = self.known.get(found[0])
            pattern += f"({re.escape(known)})" if known else rf"({re.escape(found[1])}-[a-z0-9]{{4}})"
            names.append(found[0])
            at = found.end()
        matched = re.fullmatch(pattern + _literal(told[at:]), real)
        assert matched is not None, f"the example tells {told!r}, it is {real!r}"
        self.known.update(zip(names, matched.groups(), strict=True))


def _literal(text: str) -> str:
    return ".*".join(re.escape(part) for part in text.split(ANYTHING))

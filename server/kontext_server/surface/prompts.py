"""The prompts that a person picks from a menu: each becomes a short plan of calls with their arguments filled in.

What this is: what fills in the six recipes (`recipes`) and refuses what cannot fill them in. What it is not: a thing
that anything depends on, for few clients show prompts. Above: server. Below: recipes, quoting.

What a person or their client fills in is hostile text: it stands in JSON's quotation marks wherever it stands, on one
line, and no error repeats it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import mcp_types as types
from mcp.shared.exceptions import MCPError

from kontext_server.surface.recipes import DATA, LOOK, RECIPES, TELL, Blank, Recipe, Step
from kontext_tools.quoting import literal

MAX_CHARS = 2000
"""Of one argument: more than a path, a wish or twenty scenes need, less than a picture as a data: URI."""
MAX_ITEMS = 20
"""A plan makes at most so many images."""

_BY_NAME = {recipe.name: recipe for recipe in RECIPES}

PROMPTS = [
    types.Prompt(
        name=recipe.name,
        title=recipe.title,
        description=recipe.description,
        arguments=[
            types.PromptArgument(name=blank.name, title=blank.title, description=blank.description, required=True)
            for blank in recipe.blanks
        ],
    )
    for recipe in RECIPES
]


def get(name: str, arguments: Mapping[str, str] | None) -> types.GetPromptResult:
    """Give a prompt with its blanks filled in.

    Raises:
        MCPError: invalid params, naming the prompt or the argument and never its value: no such prompt, an argument
            that is missing, unknown or too long, or too many things of which it names several.
    """
    recipe = _BY_NAME.get(name)
    if recipe is None:
        raise _refused(f"No such prompt. There are: {', '.join(_BY_NAME)}.")
    filled = _filled(recipe, arguments or {})
    call = _call(recipe, filled)
    quotes = {blank: literal(text) for blank, text in filled.items()}
    lines = [_fill(line, {**quotes, "call": call}) for line in recipe.lines]
    text = "\n".join([*lines, LOOK, TELL, DATA])
    message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.GetPromptResult(description=recipe.description, messages=[message])


def _call(recipe: Recipe, filled: Mapping[str, str | list[str]]) -> str:
    """Give the call of a recipe's step: an edit, or a plan with one step for each of several things."""
    several = next((blank.name for blank in recipe.blanks if blank.several), None)
    if several is None:
        step = _step(recipe.step, filled)
        return f"edit_image({', '.join(f'{name}={literal(value)}' for name, value in step.items())})"
    singular = several.removesuffix("s")
    steps = [
        {"id": f"{singular}{n}", **_step(recipe.step, {**filled, "item": item})}
        for n, item in enumerate(filled[several], start=1)
    ]
    return f"run_plan(steps={literal(steps)}, dry_run=true)"


def _step(step: Step, filled: Mapping[str, str | list[str]]) -> dict[str, str]:
    words = {name: text for name, text in filled.items() if isinstance(text, str)}
    words |= {f"quoted:{name}": _in_marks(text) for name, text in words.items()}
    parts = {"image": step.image, "prompt": step.prompt, "keep": step.keep}
    return {name: _fill(text, words) for name, text in parts.items()}


def _in_marks(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def _fill(text: str, words: Mapping[str, str]) -> str:
    """Put words in their places, in one pass: what was filled in is not read for places again."""
    return re.sub(r"\{([a-z:]+)\}", lambda place: words[place[1]], text)


def _filled(recipe: Recipe, arguments: Mapping[str, str]) -> dict[str, str | list[str]]:
    names = [blank.name for blank in recipe.blanks]
    for name in arguments:
        if name not in names:
            raise _refused(f"{recipe.name} takes no argument of a name that was given. It takes: {', '.join(names)}.")
    filled: dict[str, str | list[str]] = {}
    for blank in recipe.blanks:
        text = arguments.get(blank.name, "").strip()
        if not text:
            raise _refused(f"{recipe.name} needs {blank.name}: {blank.description}")
        if len(text) > MAX_CHARS:
            raise _refused(f"{blank.name} of {recipe.name} is longer than {MAX_CHARS} characters.")
        filled[blank.name] = _items(recipe, blank, text) if blank.several else text
    return filled


def _items(recipe: Recipe, blank: Blank, text: str) -> list[str]:
    """Read several things from one text: by lines and semicolons, else by commas."""
    marks = r"[\n;]+" if re.search(r"[\n;]", text) else r","
    items = [item for part in re.split(marks, text) if (item := part.strip().strip("-*•").strip())]
    if not items:
        raise _refused(f"{recipe.name} needs {blank.name}: {blank.description}")
    if len(items) > MAX_ITEMS:
        raise _refused(f"{blank.name} of {recipe.name} are more than {MAX_ITEMS}; ask for them in several prompts.")
    return items


def _refused(message: str) -> MCPError:
    return MCPError(types.INVALID_PARAMS, message)

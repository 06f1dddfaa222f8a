"""The demo's page: the words around what the demo's client recorded.

What this is: a title, what was done and by what, how to go on. What it is not: the page (`surface.studio_page`), or
what it holds (`surface.recording`). Above: demo. Below: studio_page, demo_agent's values.
"""

from __future__ import annotations

from kontext_server.cli.demo_agent import Made
from kontext_server.surface import studio_page

TITLE = "Three edits of one photograph"
DONE = (
    "An MCP client asked kontext for three edits, each of the result before. The last is shown first; the line of "
    "pictures leads back to the photograph, and each can be compared with what it was made from."
)
HONEST = (
    "No model was asked. Without a provider's key the sandbox stands in for FLUX.1 Kontext: it changes real pixels by "
    "simple means, costs nothing and marks its pictures."
)
GO_ON = (
    "These commands edit the last picture again, without and with a model. The pictures of this page lie in the folder "
    "data beside it."
)
_COMMANDS = """\
# in this page's folder
export KONTEXT_DATA_DIR="$PWD/data"
kontext edit {last} "Turn it into a night scene"

# with a key of yours, edits cost money; this tells how much
export CORE_TODAY_API_KEY=…
kontext edit {last} "Turn it into a night scene" --dry-run"""


def page(made: Made) -> str:
    """Give the page as text."""
    last = made.steps[-1].ref
    tail = {"heading": "To go on", "text": GO_ON, "code": _COMMANDS.format(last=last)}
    return studio_page.file(title=TITLE, show=last, lead=(DONE, HONEST), tail=tail, recorded=made.recorded)

"""`kontext images`: the pictures made so far.

What this is: find_images' twin, a table or JSON. Above: cli. Below: session, talk, tables.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS

if TYPE_CHECKING:
    from kontext_server.app import App
    from kontext_tools.finding import Search
    from kontext_tools.gallery import Finds
    from kontext_tools.stores.finds import ImageRow

HEADER = ("REF", "SIZE", "PROVIDER", "AGE", "PROMPT")
PROMPT_CHARS = 60


@click.command("images", short_help=COMMANDS["images"])
@click.argument("query", default="")
@click.option("--since", metavar="WHEN", help="Only from then on: today, yesterday, 12h, 7d, 2w or an ISO date.")
@click.option("--derived-from", metavar="IMAGE", help="Only what was made from this image.")
@click.option("--limit", metavar="NUMBER", help="At most so many. [1 to 50; default 10]")
@click.option("--cursor", metavar="TEXT", help="Go on where an earlier list ended.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **given: str | None) -> None:
    """List the pictures made so far, newest first.

    QUERY: only those whose label, prompt or keep holds these words.
    """
    from kontext_server.app import LOCAL_OWNER
    from kontext_server.cli import session
    from kontext_server.surface.looking import FIND_IMAGES, search_of
    from kontext_server.surface.reading import read

    async def work(app: App) -> int:
        arguments = read(FIND_IMAGES, given)
        search = search_of(arguments)
        finds = await app.studio.find_images(LOCAL_OWNER, search, limit=arguments["limit"], cursor=arguments["cursor"])
        _tell(search, finds, as_json=as_json)
        return 0

    ctx.exit(session.settled(lambda settings: session.run(settings, work), as_json=as_json))


def _tell(search: Search, finds: Finds, *, as_json: bool) -> None:
    from kontext_server.cli import tables, talk
    from kontext_server.surface.listings import finds_fields
    from kontext_tools.finding import Search

    if as_json:
        talk.answer_json(finds_fields(search, finds))
        return
    if not finds.rows:
        how = 'Make one:  kontext demo, or  kontext edit photo.jpg "Make the sky pink"'
        talk.say(f"No picture found. {how if search == Search() else 'All of them:  kontext images'}")
        return
    for told in finds.told:
        talk.say(told)
    now = datetime.now(UTC)
    table = [tuple(talk.clean(cell) for cell in _cells(row, now)) for row in finds.rows]
    tables.show(HEADER, table, right=("AGE",), wraps=("PROMPT",))
    if finds.next_cursor is not None:
        talk.say(f"There are more:  --cursor {finds.next_cursor}")


def _cells(row: ImageRow, now: datetime) -> tuple[str, ...]:
    from kontext_server.cli import tables
    from kontext_tools.quoting import cut

    prompt = cut(" ".join(row.prompt.split()), PROMPT_CHARS)
    facts = row.output.facts
    return (
        str(row.ref),
        f"{facts.width}x{facts.height}",
        row.provider,
        tables.age((now - row.created_at).total_seconds()),
        prompt,
    )

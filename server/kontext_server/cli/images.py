"""`kontext images`: the pictures made so far.

What this is: find_images' twin, a table or JSON. Above: cli. Below: session, talk, tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from kontext_server.cli import COMMANDS

if TYPE_CHECKING:
    from kontext_server.app import App
    from kontext_server.surface.arguments import Parameter
    from kontext_tools.stores.base import ImageRow

HEADER = ("REF", "SIZE", "PROVIDER", "AGE", "PROMPT")
PROMPT_CHARS = 60


@click.command("images", short_help=COMMANDS["images"])
@click.argument("query", default="")
@click.option("--limit", metavar="NUMBER", help="At most so many. [1 to 50; default 10]")
@click.option("--cursor", metavar="TEXT", help="Go on where an earlier list ended.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, query: str, limit: str | None, cursor: str | None, *, as_json: bool) -> None:
    """List the pictures made so far, newest first.

    QUERY: only those whose label or prompt holds every one of these words.
    """
    from kontext_server.app import LOCAL_OWNER
    from kontext_server.cli import session
    from kontext_server.surface.reading import read
    from kontext_tools.errors import InvalidArgument

    async def work(app: App) -> int:
        arguments = read(_parameters(), {"query": query, "limit": limit, "cursor": cursor})
        try:
            rows, following = await app.studio.find_images(
                LOCAL_OWNER, arguments["query"], limit=arguments["limit"], cursor=arguments["cursor"]
            )
        except ValueError:
            raise InvalidArgument(
                "That cursor is not one of this list.", fix="Run it again without --cursor.", field="cursor"
            ) from None
        _tell(rows, following, as_json=as_json)
        return 0

    ctx.exit(session.settled(lambda settings: session.run(settings, work), as_json=as_json))


def _parameters() -> tuple[Parameter, ...]:
    from kontext_server.surface.arguments import Kind, Parameter

    return (
        Parameter(name="query", kind=Kind.TEXT, default="", description="Words to look for."),
        Parameter(name="limit", kind=Kind.INTEGER, default=10, minimum=1, maximum=50, description="At most so many."),
        Parameter(name="cursor", kind=Kind.NAME, description="Where an earlier list ended."),
    )


def _tell(rows: Sequence[ImageRow], following: str | None, *, as_json: bool) -> None:
    from kontext_server.cli import tables, talk

    if as_json:
        talk.answer_json(_fields(rows, following))
        return
    if not rows:
        talk.say('No picture found. Make one:  kontext demo, or  kontext edit photo.jpg "Make the sky pink"')
        return
    now = datetime.now(UTC)
    table = [tuple(talk.clean(cell) for cell in _cells(row, now)) for row in rows]
    tables.show(HEADER, table, right=("AGE",), wraps=("PROMPT",))
    if following is not None:
        talk.say(f"There are more:  --cursor {following}")


def _fields(rows: Sequence[ImageRow], following: str | None) -> dict[str, Any]:
    images = [_image(row) for row in rows]
    if images:
        next_ = f"To go on from one, call edit_image(image='{images[0]['ref']}', prompt='…')."
    else:
        next_ = "Call edit_image or generate_image to make one."
    more = {} if following is None else {"next_cursor": following}
    return {"images": images, **more, "next": next_}


def _image(row: ImageRow) -> dict[str, Any]:
    from kontext_tools.references import Ref

    ref = Ref(job_id=row.job_id, n=row.output.n)
    return {
        "ref": str(ref),
        "uri": ref.uri,
        "label": row.label,
        "prompt": row.prompt,
        "created_at": row.created_at.isoformat(timespec="seconds"),
        "provider": row.provider,
        "width": row.output.facts.width,
        "height": row.output.facts.height,
        **({} if row.parent is None else {"parent": row.parent}),
    }


def _cells(row: ImageRow, now: datetime) -> tuple[str, ...]:
    from kontext_server.cli import tables

    prompt = " ".join(row.prompt.split())
    if len(prompt) > PROMPT_CHARS:
        prompt = prompt[: PROMPT_CHARS - 1] + "…"
    facts = row.output.facts
    return (
        f"{row.job_id}/{row.output.n}",
        f"{facts.width}x{facts.height}",
        row.provider,
        tables.age((now - row.created_at).total_seconds()),
        prompt,
    )

"""`kontext usage`: what was spent or reserved, by UTC day and provider, and what is left of today's budget.

Above: cli. Below: session, talk, tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS

if TYPE_CHECKING:
    from kontext_server.app import App

HEADER = ("DAY", "PROVIDER", "AMOUNT", "UNIT", "JOBS")


@click.command("usage", short_help=COMMANDS["usage"])
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="The newest days with any.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, days: int, *, as_json: bool) -> None:
    """Tell what was spent or reserved, by UTC day and provider.

    What is `unknown` counts until a person resolves it. Units are never added to each other.
    """
    from kontext_server.app import LOCAL_OWNER
    from kontext_server.cli import session, tables, talk
    from kontext_server.surface.answers import usage_fields

    async def work(app: App) -> int:
        fields = usage_fields(*await app.studio.usage(LOCAL_OWNER, days=days))
        if as_json:
            talk.answer_json(fields)
            return 0
        if not fields["days"]:
            talk.say("Nothing was spent yet.")
            return 0
        rows = [(row["day"], row["provider"], row["amount"], row["unit"], str(row["jobs"])) for row in fields["days"]]
        tables.show(HEADER, rows, right=("AMOUNT", "JOBS"))
        for unit, amount in fields["budget_left"].items():
            talk.say(f"Left of today's budget: {amount} {unit}")
        return 0

    ctx.exit(session.settled(lambda settings: session.run(settings, work), as_json=as_json))

"""`kontext doctor`: what is configured, what works, how to mend the rest.

What this is: the findings as lines or JSON, and their exit code. What it is not: a check (`kontext_server.doctor`).
It reads its settings itself: wrong ones are a line here, not an end. Above: cli. Below: doctor, talk, logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS
from kontext_server.cli.exits import DONE, FAILED, NOT_SET_UP

if TYPE_CHECKING:
    from kontext_server.doctor.findings import Finding

COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor", short_help=COMMANDS["doctor"])
@click.option("--online", is_flag=True, help="Also ask each provider that is on whether it takes its key; free.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, *, online: bool, as_json: bool) -> None:
    """Tell what is configured, what works, and how to mend the rest.

    Spends nothing, changes nothing, and moves no job. Without --online the network is not touched; with it, each
    provider that is on is asked, by GET alone, for a job that does not exist: once with its key, once with a made-up
    one.

    \b
    Exit codes: 0 nothing failed (a warning is no failure)
                3 a setting or a key is wrong
                1 anything else failed
    """
    import anyio

    from kontext_server import logs
    from kontext_server.doctor.case import open_case
    from kontext_server.doctor.checkup import examine
    from kontext_tools.redaction import Redactor

    case = open_case(online=online)
    settings = case.settings
    secrets = [] if settings is None else settings.secrets
    logs.configure("warning" if settings is None else settings.kontext_log_level, Redactor(secrets))
    findings = anyio.run(examine, case)
    _tell_json(findings) if as_json else _tell(findings)
    ctx.exit(_exit_code(findings))


def _tell(findings: Sequence[Finding]) -> None:
    from kontext_server.cli import talk

    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        word = finding.status.value
        talk.answer_marked(word, f"{'':{4 - len(word)}}  {finding.name:{width}}  {finding.cause}", color=COLORS[word])
        if finding.fix:
            talk.answer(f"{'':{width + 8}}{finding.fix}")
    failed, warned = (sum(finding.status == status for finding in findings) for status in ("fail", "warn"))
    talk.say(f"{failed or 'Nothing'} failed, {warned or 'no'} warning{'' if warned == 1 else 's'}.")


def _tell_json(findings: Sequence[Finding]) -> None:
    from kontext_server import __version__
    from kontext_server.cli import talk

    checks = [finding.to_dict() for finding in findings]
    talk.answer_json({"ok": _exit_code(findings) == DONE, "version": __version__, "checks": checks})


def _exit_code(findings: Sequence[Finding]) -> int:
    """Give the shell's code: what a person must set goes before what else failed."""
    failed = [finding for finding in findings if finding.status == "fail"]
    if any(finding.of_settings for finding in failed):
        return NOT_SET_UP
    return FAILED if failed else DONE

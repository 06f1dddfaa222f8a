"""What `edit`, `generate` and `plan` share: ask the studio, wait for the end, tell it.

What this is: one call of a person, from arguments as typed to the results' paths. What it is not: the options
(`options`) or the work (`kontext_tools.studio`). Above: edit, generate, plan. Below: session, progress, plan_progress,
saving, words, surface.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from kontext_server.app import LOCAL_OWNER, App
from kontext_server.cli import plan_progress, progress, saving, session, talk, words
from kontext_server.cli.exits import DONE, FAILED, INTERRUPTED
from kontext_server.cli.progress import Seen
from kontext_server.settings import Settings
from kontext_server.surface import answers, parameters, plan_parameters, wording
from kontext_server.surface.arguments import Arguments, Parameter
from kontext_server.surface.reading import read
from kontext_tools.errors import ConfirmationNeeded, KontextError
from kontext_tools.jobs import SendState
from kontext_tools.questions import Yes
from kontext_tools.references import Ref
from kontext_tools.studio import Studio
from kontext_tools.views import Call, OnNews, Quote, View

LOOK_S = 10.0
"""So long one wait lasts. A job that waits for space on the disk is noticed between two."""

ANSWER_S = 5.0
"""So long an interrupted command waits for the provider's answer to what it has just sent; Ctrl-C again ends that."""

Verb = Callable[[Studio, Arguments, Call], Awaitable[View | Quote]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of the ways to make pictures.

    Attributes:
        doing: the word while it runs.
        parameters: what it takes, given the app.
        verb: what the studio does.
        shown: how the wait looks, given that word.
        goes_on: what is said of it to a person who interrupts the wait.
    """

    doing: str
    parameters: Callable[[App], Sequence[Parameter]]
    verb: Verb
    shown: Callable[[str], AbstractContextManager[Seen]] = progress.shown
    goes_on: str = "the job goes on"


async def _edited(studio: Studio, arguments: Arguments, call: Call) -> View | Quote:
    return await studio.edit_image(parameters.edit_of(arguments), _keyed(call, arguments))


async def _generated(studio: Studio, arguments: Arguments, call: Call) -> View | Quote:
    return await studio.generate_image(parameters.edit_of(arguments), _keyed(call, arguments))


async def _planned(studio: Studio, arguments: Arguments, call: Call) -> View | Quote:
    return await studio.run_plan(plan_parameters.plan_of(arguments), call)


def _keyed(call: Call, arguments: Arguments) -> Call:
    return replace(call, request_key=arguments["request_key"])


EDIT = Kind(doing="Editing", parameters=lambda app: parameters.edit_image(app.offers, 0), verb=_edited)
GENERATE = Kind(doing="Generating", parameters=lambda app: parameters.generate_image(app.offers, 0), verb=_generated)
PLAN = Kind(
    doing="Plan",
    parameters=lambda _: plan_parameters.run_plan(0),
    verb=_planned,
    shown=plan_progress.shown,
    goes_on="what was sent goes on, and the rest once kontext runs again",
)


@dataclass(slots=True, kw_only=True)
class Asked:
    """What a person asked for, and the job that came of it.

    Attributes:
        kind: edit, generate or plan.
        arguments: as typed, under the parameters' names; `None` where not given.
        output: where the result is copied to.
        force: whether that overwrites.
        as_json: whether the answer is JSON.
        job_id: of the job, once there is one.
    """

    kind: Kind
    arguments: Mapping[str, Any]
    output: Path | None
    force: bool
    as_json: bool
    job_id: str | None = field(default=None, init=False)


def make(asked: Asked) -> int:
    """Do it here and now; give the exit code."""
    asked = _with_format(asked)
    try:
        return session.settled(lambda settings: _confirmed(settings, asked), as_json=asked.as_json)
    except KeyboardInterrupt:
        if asked.job_id is None:
            talk.say("Interrupted. If a job was recorded by then, the same command joins it.")
        else:
            talk.say(
                f"Interrupted, but {asked.kind.goes_on}. See it:  kontext status {asked.job_id} --wait 50\n"
                f"Stop it:  kontext cancel {asked.job_id}"
            )
        return INTERRUPTED


def _with_format(asked: Asked) -> Asked:
    """Let `-o cat.jpg` ask for a JPEG, unless the format was named."""
    if asked.output is None:
        return asked
    asked.output = asked.output.absolute()
    format_ = saving.FORMAT_OF_SUFFIX.get(asked.output.suffix.lower())
    if format_ is not None and asked.arguments.get("output_format") is None:
        asked.arguments = {**asked.arguments, "output_format": format_}
    return asked


def _confirmed(settings: Settings, asked: Asked) -> int:
    """Make it; where a person wants to be asked first and can be, ask, and make it at what they said yes to."""
    yes: Yes | None = None
    while True:
        try:
            return session.run(settings, partial(_make, asked=asked, yes=yes))
        except ConfirmationNeeded as needed:
            question = needed.question
            if question is None or not talk.may_ask():
                raise
            if not click.confirm(f"{wording.asked(question)} Go on?", err=True):
                raise
            yes = question.yes


async def _make(app: App, *, asked: Asked, yes: Yes | None) -> int:
    arguments = _read(app, asked)
    if asked.output is not None:
        saving.check(asked.output, arguments["num_images"], force=asked.force)

    async def on_news(view: View) -> None:
        asked.job_id = view.job.id
        seen(view)

    with asked.kind.shown(asked.kind.doing) as seen:
        try:
            made = await asked.kind.verb(app.studio, arguments, _call(arguments, on_news, yes))
            if isinstance(made, View):
                made = await _ended(app.studio, made, on_news)
        except anyio.get_cancelled_exc_class():
            await _answered(app.studio, asked.job_id)
            raise
    if isinstance(made, Quote):
        return _tell_quote(made, as_json=asked.as_json)
    return await _tell(app, made, asked)


async def _ended(studio: Studio, view: View, on_news: OnNews) -> View:
    """Wait for the end, or until it cannot come by itself: the disk is full."""
    call = Call(owner=LOCAL_OWNER, wait_s=LOOK_S, on_news=on_news)
    while not view.job.status.ended and answers.failure_of(view.job) is None:
        joined = view.joined
        view = await studio.get_status(view.job.id, call)
        view = View(job=view.job, joined=joined, eta_s=view.eta_s, at=view.at)
    return view


async def _answered(studio: Studio, job_id: str | None) -> None:
    """Let a create that is on its way be answered, so that an interruption leaves no job of unknown fate."""
    if job_id is None:
        return
    with anyio.move_on_after(ANSWER_S, shield=True):
        while True:
            view = await studio.get_status(job_id, Call(owner=LOCAL_OWNER))
            steps = (run.job for run in view.job.runs if run.job is not None)
            # One that is queued is sent at any moment.
            on_its_way = (SendState.QUEUED, SendState.INTENT)
            if all(send.state not in on_its_way for job in (view.job, *steps) for send in job.sends):
                return
            await anyio.sleep(0.05)


def _tell_quote(quote: Quote, *, as_json: bool) -> int:
    if as_json:
        talk.answer_json(answers.quote_fields(quote))
    else:
        talk.answer(answers.quote_text(quote).rpartition("\n")[0])
        talk.say("To do it, run the command again without --dry-run.")
    return DONE


async def _tell(app: App, view: View, asked: Asked) -> int:
    fields = answers.job_fields(view, app.places)
    failure = answers.failure_of(view.job)
    if failure is not None:
        return talk.tell_failure(failure, as_json=asked.as_json, fields=fields)
    talk.say(words.ended(view, app.places))
    kept = [_lies_at(app, Ref(job_id=holder.id, n=output.n), output.blob) for holder, output in view.job.images]
    code, places = (DONE, kept) if asked.output is None else await _saved(app, view, asked, kept)
    if asked.as_json:
        talk.answer_json(fields if places is kept else {**fields, "saved": [str(place) for place in places]})
    else:
        for place in places:
            talk.answer_path(place)
        talk.say(words.next_step(view))
    return code


def _lies_at(app: App, ref: Ref, key: str) -> Path | str:
    """Give an image's path, or its own address where it is no file of this machine."""
    return app.path_of(key) or ref.uri


async def _saved(app: App, view: View, asked: Asked, kept: Sequence[Path | str]) -> tuple[int, Sequence[Path | str]]:
    output = asked.output
    assert output is not None
    try:
        refs = [Ref(job_id=holder.id, n=image.n) for holder, image in view.job.images]
        pictures = [(await app.studio.image(LOCAL_OWNER, str(ref)))[0] for ref in refs]
        return DONE, saving.copy(pictures, output, force=asked.force)
    except (OSError, KontextError) as error:
        why = error.failure.message if isinstance(error, KontextError) else error.strerror
        talk.say(f"The result was made, but not copied to {output} ({why}). It lies here:")
        return FAILED, kept


def _read(app: App, asked: Asked) -> Arguments:
    return read(asked.kind.parameters(app), asked.arguments)


def _call(arguments: Arguments, on_news: OnNews, yes: Yes | None) -> Call:
    return Call(
        owner=LOCAL_OWNER,
        wait_s=LOOK_S,
        dry_run=arguments["dry_run"],
        on_news=on_news,
        yes=yes,
    )

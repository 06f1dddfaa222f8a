"""`kontext demo`: three edits of a photograph that comes with the package; no key, no network.

What this is: the folder, the lines that are printed, the page at the end. What it is not: the edits (`demo_agent`, an
MCP client as an assistant would be) or the page's words (`demo_page`). Above: cli. Below: both, saving, talk.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kontext_server.cli import COMMANDS

if TYPE_CHECKING:
    from kontext_server.cli.demo_agent import Made, Step

PROMPTS = (
    "Make it a watercolour painting",
    "Make it warmer, like evening light",
    'Write "Hello from kontext" on it',
)
PHOTO = "chelsea.png"
DATA = "data"
MARK = ".kontext-demo"
"""A folder with this file in it is the demo's own and is used again."""
_MARK_TEXT = "Made by `kontext demo`, which may write into this folder again.\n"


@click.command("demo", short_help=COMMANDS["demo"])
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("kontext-demo"),
    show_default=True,
    help="Folder for the pictures and the page. One with other files in it is left alone: a number is added.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def command(ctx: click.Context, output: Path, *, as_json: bool) -> None:
    """Edit a photograph in three steps; no key, no network.

    Starts a kontext server as an assistant would, asks it for three edits over MCP, each of the result before, and
    writes a page that compares before and after. One line for each edit, the page's path last.
    """
    import anyio

    from kontext_server.cli import talk
    from kontext_server.cli.demo_agent import Stopped, edited, log_of
    from kontext_server.cli.exits import DONE, FAILED
    from kontext_server.cli.session import sigterm_interrupts

    try:
        folder = made_folder(output.absolute())
    except OSError as error:
        talk.say(f"{output} cannot be written ({error.strerror}). Name another folder with --output.")
        ctx.exit(FAILED)
    talk.say(f"A photograph lies in {folder}. A kontext server is started and asked for three edits over MCP.")
    if not as_json:
        talk.say("Each line: the reference that the next edit starts from, its cost, the seconds it took, its file.")

    def on_step(step: Step) -> None:
        if not as_json:
            click.echo(line_of(step))

    try:
        with sigterm_interrupts():
            made = anyio.run(edited, folder / PHOTO, PROMPTS, folder / DATA, on_step)
    except Stopped as stopped:
        if stopped.failure is not None:
            ctx.exit(talk.tell_failure(stopped.failure, as_json=as_json))
        talk.say(f"The server could not be talked to. What it said: {log_of(folder / DATA)}")
        ctx.exit(FAILED)
    _finish(folder, made, as_json=as_json)
    ctx.exit(DONE)


def made_folder(wanted: Path) -> Path:
    """Give the folder to write to: as wanted, or with a number where other files lie; made and marked, with
    the photograph in it.

    Raises:
        OSError: it cannot be made.
    """
    folder, n = wanted, 1
    while not _is_free(folder):
        n += 1
        folder = wanted.with_name(f"{wanted.name}-{n}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(_MARK_TEXT, encoding="utf-8")
    (folder / DATA).mkdir(mode=0o700, exist_ok=True)
    (folder / PHOTO).write_bytes(_photo())
    return folder


def line_of(step: Step) -> str:
    """Give one edit as a line that says what each part of it is."""
    return f"{step.ref}  cost {step.cost}  {step.seconds:.1f} s  file {step.path}"


def _is_free(folder: Path) -> bool:
    """Whether nothing in it is a person's own: it is new, empty, or the demo's with the photograph as it was."""
    if not folder.exists():
        return True
    if not folder.is_dir() or not (folder / MARK).is_file():
        return folder.is_dir() and not any(folder.iterdir())
    photo = folder / PHOTO
    return not photo.exists() or photo.read_bytes() == _photo()


def _photo() -> bytes:
    return (resources.files("kontext_server") / "assets" / PHOTO).read_bytes()


def _finish(folder: Path, made: Made, *, as_json: bool) -> None:
    from kontext_server.cli import demo_page, saving, talk

    photo, page = folder / PHOTO, folder / "demo.html"
    saving.write(demo_page.page(made), page, force=True)
    if as_json:
        edits = [step.fields for step in made.steps]
        talk.answer_json({"folder": str(folder), "photo": str(photo), "edits": edits, "html": str(page)})
        return
    talk.say(
        "No model was asked: the sandbox stands in for FLUX.1 Kontext. Open this page to compare before and after:"
    )
    talk.answer_path(page)

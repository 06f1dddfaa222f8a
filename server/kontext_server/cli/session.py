"""One command's work against the studio, here and now.

What this is: settings read, the app built and running for as long as the work lasts, foreseen failures told once. What
it is not: a server; whatever is left running goes on at the provider and is taken up by the next command or server that
drives jobs.
Above: the commands. Below: app, settings, logs, talk.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import anyio

from kontext_server import logs
from kontext_server.app import App, build
from kontext_server.cli.talk import tell_failure
from kontext_server.setting_sources import SettingError
from kontext_server.settings import Settings, load, prepare_data_dir, unknown_variables
from kontext_tools.errors import KontextError, NotConfigured
from kontext_tools.redaction import Redactor

T = TypeVar("T")


def settled(work: Callable[[Settings], int], *, as_json: bool, data: bool = True) -> int:
    """Do work under the settings; tell a foreseen failure and give the exit code.

    Args:
        work: what is done.
        as_json: whether a failure is told as JSON too.
        data: whether it needs the data folder, which is made where it is not there.
    """
    try:
        settings = load()
        if data:
            prepare_data_dir(settings)
        logs.configure(settings.kontext_log_level, Redactor(settings.secrets))
        logs.warn(unknown_variables(os.environ))
        return work(settings)
    except SettingError as wrong:
        fix = "Correct that setting, in the environment or in kontext.toml, and run the command again."
        return tell_failure(NotConfigured(f"{wrong}.", fix=fix).failure, as_json=as_json)
    except KontextError as error:
        return tell_failure(error.failure, as_json=as_json)


def run(settings: Settings, work: Callable[[App], Awaitable[T]], *, reading: bool = False) -> T:
    """Run work with the app running; a person may name any file. Raises what the work raises of our own tree.

    Args:
        settings: already read.
        work: what is done.
        reading: whether it only reads: then no job moves meanwhile, and nothing is sent.

    SIGTERM interrupts as Ctrl-C does: KeyboardInterrupt, once everything was let go of.
    """

    async def running() -> T | KontextError:
        app = build(settings, any_file=True)
        async with app.reading() if reading else app.running():
            try:
                return await work(app)
            except KontextError as error:
                # Raised out of the block, the task group would wrap it into an exception group.
                return error

    with sigterm_interrupts():
        done = anyio.run(running)
    if isinstance(done, KontextError):
        raise done
    return done


@contextmanager
def sigterm_interrupts() -> Generator[None]:
    """Make SIGTERM do what SIGINT would, for as long as the block lasts."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        on_interrupt = signal.getsignal(signal.SIGINT)
        assert callable(on_interrupt)
        on_interrupt(number, frame)

    with _interrupt_handled():
        before = signal.signal(signal.SIGTERM, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _interrupt_handled() -> Generator[None]:
    """Have a handler for SIGINT where a shell that started us in the background set it to be ignored.

    The event loop ends its work in good order by that handler alone; the signal itself is held back, as it was.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        # One that came meanwhile is forgotten by this, before it could be let through.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)

"""The walk: every check is contained, none is lost, and our own server is among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from kontext_server.app import LOCAL_OWNER
from kontext_server.doctor import serving
from kontext_server.doctor.case import Case, open_case
from kontext_server.doctor.checkup import CHECKS, Check, examine
from kontext_server.doctor.findings import Finding, fail, ok, warn
from kontext_server.simulator.serve import Running
from kontext_tools.stores.sqlite import SqliteStore
from server.doctor.conftest import MakeCase
from support.rows import a_job, admit

pytestmark = pytest.mark.anyio

WITHIN_S = 60


async def sound(_: Case) -> Sequence[Finding]:
    return [ok("sound", "it is")]


async def crashing(_: Case) -> Sequence[Finding]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(failing)
    return []


async def failing() -> None:
    raise ValueError("zqxj")


async def test_a_check_that_fails_itself_is_a_line_without_its_words(case: MakeCase) -> None:
    lines = await examine(case(), [Check(name="crashing", look=crashing), Check(name="sound", look=sound)])
    assert lines == [
        fail(
            "crashing",
            "the check itself failed (ValueError)",
            "This is a fault of kontext's: report it with this line and the version above.",
        ),
        ok("sound", "it is"),
    ]


async def test_without_settings_what_needs_them_is_told_as_left_out(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONTEXT_PREVIEW", "zqxj")
    lines = await examine(open_case(online=False))
    assert [(line.name, line.status.value) for line in lines] == [
        ("python", "ok"),
        ("kontext", "ok"),
        ("packages", "ok"),
        ("settings", "fail"),
        ("clients", "ok"),
        ("the rest", "warn"),
    ]
    assert lines[-1] == warn(
        "the rest", "was not looked at: it needs the settings", "Mend the settings and run kontext doctor again."
    )


async def test_each_check_names_itself_once() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)


async def test_our_server_lists_its_tools_in_both_eras_and_sends_nothing(case: MakeCase, simulator: Running) -> None:
    with anyio.fail_after(WITHIN_S):
        (line,) = await serving.look(case(dict(simulator.settings_of("core.today"))))
    assert line.status == "ok"
    assert line.cause.startswith("7 tools, ") and line.cause.endswith(" characters, in both protocol eras")
    assert simulator.state.journal.entries() == []


async def test_our_server_is_tried_away_from_the_persons_own_jobs(case: MakeCase, home: Path) -> None:
    """A server on their store would take up what is due, and that may cost."""
    store = SqliteStore(home / "data" / "kontext.db")
    await store.open()
    await admit(store, a_job(owner=LOCAL_OWNER, provider="sandbox"))
    await store.close()
    before = {path.name: path.read_bytes() for path in (home / "data").iterdir()}
    with anyio.fail_after(WITHIN_S):
        await serving.look(case())
    assert {path.name: path.read_bytes() for path in (home / "data").iterdir()} == before

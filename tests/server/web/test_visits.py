"""Links that open a gallery once, and the cookies that they buy: what they prove, for whom, and for how long."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from kontext_server.web.visits import COOKIE_S, LINK_S, Visits
from kontext_tools.errors import StorageBusy
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.tasks import Tasks
from support.fake_clock import FakeClock
from support.scripted import Scripted, waiting
from support.scripted_app import scripted_app

pytestmark = pytest.mark.anyio

BASE = "https://kontext.example"


@pytest.fixture
async def tasks(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[Tasks]:
    async with scripted_app(tmp_path, Scripted(creates=[waiting()])) as (app, _):
        yield app.tasks


def ticket_in(link: str) -> str:
    before, _, ticket = link.partition("?ticket=")
    assert before == f"{BASE}/gallery/enter"
    return ticket


async def test_a_link_opens_once_within_ten_minutes_for_its_owner_alone(tasks: Tasks) -> None:
    clock = FakeClock()
    visits = Visits(BASE, bytes(32), clock)
    ticket = ticket_in(visits.link("ann"))
    assert visits.is_good(ticket)
    cookie = await visits.entered(ticket, tasks)
    assert cookie is not None and visits.owner(cookie) == "ann"
    assert await visits.entered(ticket, tasks) is None
    late = ticket_in(visits.link("ann"))
    clock.advance(LINK_S)
    assert not visits.is_good(late) and await visits.entered(late, tasks) is None
    clock.advance(COOKIE_S - LINK_S - 1)
    assert visits.owner(cookie) == "ann"
    clock.advance(1)
    assert visits.owner(cookie) is None


async def test_no_two_links_are_alike_and_each_opens_by_itself(tasks: Tasks) -> None:
    visits = Visits(BASE, bytes(32), FakeClock())
    tickets = {ticket_in(visits.link("ann")) for _ in range(5)}
    assert len(tickets) == 5
    assert None not in [await visits.entered(ticket, tasks) for ticket in tickets]


async def test_of_many_who_use_one_link_at_once_one_is_let_in(tasks: Tasks) -> None:
    visits, let_in = Visits(BASE, bytes(32), FakeClock()), list[str | None]()
    ticket = ticket_in(visits.link("ann"))

    async def enter() -> None:
        let_in.append(await visits.entered(ticket, tasks))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(enter)
    assert sum(cookie is not None for cookie in let_in) == 1


async def test_a_link_that_was_used_stays_used_for_another_process(tmp_path: Path) -> None:
    visits = Visits(BASE, bytes(32), FakeClock())
    ticket = ticket_in(visits.link("ann"))
    let_in: list[bool] = []
    for _ in range(2):
        async with scripted_app(tmp_path, Scripted(creates=[waiting()])) as (app, _):
            let_in.append(await visits.entered(ticket, app.tasks) is not None)
    assert let_in == [True, False]


async def test_a_store_that_cannot_tell_lets_nobody_in(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: object, **__: object) -> None:
        raise StorageBusy("The database is held by another process.", fix="Wait.")

    visits = Visits(BASE, bytes(32), FakeClock())
    monkeypatch.setattr(SqliteStore, "add_task", busy)
    with pytest.raises(StorageBusy):
        await visits.entered(ticket_in(visits.link("ann")), tasks)


async def test_neither_a_changed_one_nor_one_in_the_others_place_is_ours(tasks: Tasks) -> None:
    visits = Visits(BASE, bytes(32), FakeClock())
    ticket = ticket_in(visits.link("ann"))
    cookie = await visits.entered(ticket_in(visits.link("ann")), tasks)
    assert cookie is not None
    assert visits.owner(ticket) is None and not visits.is_good(cookie)
    for whole in (cookie, ticket):
        changed = [".".join(part + "1" * (n == at) for n, part in enumerate(whole.split("."))) for at in range(4)]
        for text in (*changed, whole + "." * 300):
            assert visits.owner(text) is None and not visits.is_good(text)
    for text in ("", "...", "ann", "ann.never.x.é", "\udcff", "a.b.c.d.e"):
        assert visits.owner(text) is None and not visits.is_good(text)
    assert Visits(BASE, b"1" * 32, FakeClock()).owner(cookie) is None

"""The sandbox as a provider: orders, waiting, cancelling, restarts."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot

from kontext_tools import images
from kontext_tools.edits import MAX_SEED, Edit
from kontext_tools.errors import Billed
from kontext_tools.providers import sandbox as module
from kontext_tools.providers.base import (
    Attachment,
    CancelOutcome,
    FetchFailed,
    Order,
    Phase,
    Provider,
    Snapshot,
    SubmitFailed,
    Verdict,
)
from kontext_tools.providers.sandbox import HONESTY, KEPT_S, Sandbox

pytestmark = pytest.mark.anyio

CAT = (Path(__file__).parents[2] / "photos" / "chelsea.png").read_bytes()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sandbox"


@pytest.fixture
def sandbox(folder: Path, clock: Clock) -> Sandbox:
    return Sandbox(folder, duration_s=10, clock=clock)


async def read_cat() -> bytes:
    return CAT


def order(prompt: str = "make it warmer", *, seed: int | None = 7, image: bool = True, **parameters: object) -> Order:
    attachment = Attachment(facts=images.read_facts(CAT), read=read_cat) if image else None
    edit = Edit(prompt=prompt, image="cat.png" if image else None, seed=seed, **parameters)  # pyright: ignore[reportArgumentType]
    return Order(key="cat-4k7q:1", edit=edit, prompt=prompt, seed=seed, image=attachment)


async def intent() -> None:
    """Commit nothing."""


async def submitted(provider: Provider, asked: Order) -> str:
    snapshot_ = await provider.submit(asked, intent)
    assert snapshot_.phase is Phase.WAITING
    assert snapshot_.remote_id is not None
    return snapshot_.remote_id


def output(seen: Snapshot) -> bytes:
    assert seen.phase is Phase.DONE
    assert seen.outputs[0].data is not None
    return seen.outputs[0].data


def test_the_offer_is_what_core_today_takes_for_nothing(sandbox: Sandbox) -> None:
    offer = sandbox.offer
    assert (offer.name, str(offer.price), offer.takes_url, offer.images_per_send) == ("sandbox", "0 usd", False, 1)
    given = frozenset({"safety_tolerance", "guidance_scale"})
    assert offer.refuses(Edit(prompt="x", image="a", safety_tolerance=2, given=given)) is None
    assert offer.refuses(Edit(prompt="x", safety_tolerance=6, given=given)) is None
    refused = [
        offer.refuses(Edit(prompt="x", image="a", safety_tolerance=3, given=given)),
        offer.refuses(Edit(prompt="x", guidance_scale=2.5, given=given)),
    ]
    assert [no.field for no in refused if no is not None] == ["safety_tolerance", "guidance_scale"]
    assert "no model was asked" in HONESTY


def test_the_request_is_told_without_the_picture(sandbox: Sandbox) -> None:
    assert sandbox.request(order()) == snapshot(
        {
            "model": "sandbox",
            "prompt": "make it warmer",
            "aspect_ratio": "match_input_image",
            "output_format": "png",
            "safety_tolerance": 2,
            "prompt_upsampling": False,
            "seed": 7,
            "input_image": "source.png",
        }
    )
    assert "seed" not in sandbox.request(order(seed=None, image=False))


async def test_a_job_waits_works_and_is_done_by_the_clock(sandbox: Sandbox, clock: Clock) -> None:
    remote_id = await submitted(sandbox, order())
    told: list[tuple[str, float | None]] = []
    for elapsed_s in (0, 1, 4, 6, 6):
        clock.now_s += elapsed_s
        seen = await sandbox.fetch(remote_id)
        told.append((seen.phase.value, seen.progress))
    assert told == snapshot([("waiting", 0.0), ("waiting", 0.1), ("working", 0.5), ("done", 1.0), ("done", 1.0)])


async def test_a_finished_edit_carries_its_bytes_its_seed_and_a_cost_of_nothing(sandbox: Sandbox, clock: Clock) -> None:
    remote_id = await submitted(sandbox, order())
    clock.now_s += 10
    seen = await sandbox.fetch(remote_id)
    facts = images.read_facts(output(seen))
    assert (facts.media_type, facts.width, facts.height, seen.outputs[0].seed) == ("image/png", 451, 300, 7)
    assert seen.cost is not None
    assert seen.cost.to_dict() == {"amount": "0", "unit": "usd", "basis": "reported"}
    assert output(await sandbox.fetch(remote_id)) == output(seen)


async def test_a_generation_needs_no_picture(sandbox: Sandbox, clock: Clock) -> None:
    remote_id = await submitted(sandbox, order("hills", image=False, aspect_ratio="3:2", output_format="jpg"))
    clock.now_s += 10
    facts = images.read_facts(output(await sandbox.fetch(remote_id)))
    assert (facts.media_type, facts.width, facts.height) == ("image/jpeg", 1248, 832)


async def test_without_a_seed_one_is_drawn_from_the_id_and_told(sandbox: Sandbox, clock: Clock) -> None:
    first, second = [await submitted(sandbox, order(seed=None)) for _ in range(2)]
    clock.now_s += 10
    seeds = [(await sandbox.fetch(remote_id)).outputs[0].seed for remote_id in (first, second, first)]
    assert seeds[0] == seeds[2] != seeds[1]
    assert all(seed is not None and 0 <= seed <= MAX_SEED for seed in seeds)


async def test_the_same_order_gives_the_same_bytes(sandbox: Sandbox, clock: Clock) -> None:
    ids = [await submitted(sandbox, order("watercolour")) for _ in range(2)]
    clock.now_s += 10
    first, second = [output(await sandbox.fetch(remote_id)) for remote_id in ids]
    assert first == second


async def test_intent_is_committed_before_anything_is_written(sandbox: Sandbox, folder: Path) -> None:
    async def look() -> None:
        assert not folder.exists()

    await sandbox.submit(order(), look)


async def test_an_order_outlives_the_process(sandbox: Sandbox, folder: Path, clock: Clock) -> None:
    remote_id = await submitted(sandbox, order())
    clock.now_s += 10
    assert output(await Sandbox(folder, clock=clock).fetch(remote_id)) == output(await sandbox.fetch(remote_id))


async def test_ids_are_unguessable_and_files_are_the_owners_alone(sandbox: Sandbox, folder: Path) -> None:
    ids = {await submitted(sandbox, order()) for _ in range(3)}
    assert len(ids) == 3
    assert all(len(bytes.fromhex(remote_id)) == 16 for remote_id in ids)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(folder.glob("*.tmp"))


@pytest.mark.parametrize(
    "remote_id", ["0" * 32, "", "../../etc/passwd", "a/../b", f"{'0' * 32}\n", "A" * 32, "\x00", f"../{'0' * 32}"]
)
async def test_an_unknown_or_crooked_id_is_gone(sandbox: Sandbox, remote_id: str) -> None:
    await submitted(sandbox, order())
    for verb in (sandbox.fetch, sandbox.cancel):
        with pytest.raises(FetchFailed) as caught:
            await verb(remote_id)
        assert caught.value.gone
        assert remote_id not in caught.value.failure.message or not remote_id


async def test_an_order_that_cannot_be_read_is_gone(sandbox: Sandbox, folder: Path) -> None:
    remote_id = await submitted(sandbox, order())
    (folder / f"{remote_id}.json").write_bytes(b'{"prompt": 3')
    with pytest.raises(FetchFailed) as caught:
        await sandbox.fetch(remote_id)
    assert caught.value.gone


async def test_a_cancelled_order_stays_cancelled(sandbox: Sandbox, clock: Clock) -> None:
    remote_id = await submitted(sandbox, order())
    assert await sandbox.cancel(remote_id) is CancelOutcome.ACCEPTED
    clock.now_s += 60
    assert await sandbox.cancel(remote_id) is CancelOutcome.ACCEPTED
    assert (await sandbox.fetch(remote_id)).phase is Phase.CANCELLED


async def test_a_finished_order_cannot_be_cancelled(sandbox: Sandbox, clock: Clock) -> None:
    remote_id = await submitted(sandbox, order())
    clock.now_s += 10
    assert await sandbox.cancel(remote_id) is CancelOutcome.ENDED
    assert (await sandbox.fetch(remote_id)).phase is Phase.DONE


async def test_a_clock_that_was_set_back_holds_nothing_up(sandbox: Sandbox, clock: Clock) -> None:
    remote_id = await submitted(sandbox, order())
    clock.now_s -= 3_600
    assert (await sandbox.fetch(remote_id)).phase is Phase.DONE


async def test_orders_older_than_an_hour_are_swept_and_strange_files_are_not(
    sandbox: Sandbox, folder: Path, clock: Clock
) -> None:
    old = await submitted(sandbox, order())
    await sandbox.cancel(old)
    stray, half = folder / "notes.txt", folder / f"{'1' * 32}.json.12345678.tmp"
    for path in (stray, half):
        path.write_bytes(b"x")
        os.utime(path, (clock.now_s, clock.now_s))
    clock.now_s += KEPT_S - 1
    young = await submitted(sandbox, order())
    assert len(list(folder.glob(f"{old}.*"))) == 3
    clock.now_s += 2
    await submitted(sandbox, order())
    assert not list(folder.glob(f"{old}.*"))
    assert not half.exists()
    assert stray.exists()
    assert (await sandbox.fetch(young)).phase is Phase.WORKING


@pytest.mark.parametrize(("source", "code"), [(None, "provider_error"), (b"no picture", "source_unreadable")])
async def test_a_source_that_vanished_or_broke_is_a_failure_and_not_a_crash(
    sandbox: Sandbox, folder: Path, clock: Clock, source: bytes | None, code: str
) -> None:
    path = folder / f"{await submitted(sandbox, order())}.source"
    path.unlink() if source is None else path.write_bytes(source)
    clock.now_s += 10
    seen = await sandbox.fetch(path.stem)
    assert seen.failure is not None
    assert (seen.phase, seen.failure.code) == (Phase.FAILED, code)


async def test_an_address_without_bytes_is_refused_before_intent(sandbox: Sandbox) -> None:
    async def never() -> None:
        pytest.fail("nothing may be committed")

    asked = Order(
        key="k:1",
        edit=Edit(prompt="x", image="https://example.com/a.png"),
        prompt="x",
        seed=None,
        image=Attachment(url="https://example.com/a.png"),
    )
    with pytest.raises(SubmitFailed) as caught:
        await sandbox.submit(asked, never)
    assert caught.value.verdict is Verdict.REFUSED
    assert caught.value.failure.to_dict() == snapshot(
        {
            "code": "source_unreadable",
            "message": "The sandbox has no network and the picture came without its bytes; nothing was sent.",
            "fix": "Pass a file or an earlier result instead of an address.",
            "field": "image",
            "retryable": False,
            "billed": Billed.NO,
        }
    )


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "storage_full"), (errno.EROFS, "provider_error")], ids=["full", "read-only"]
)
async def test_a_disk_that_takes_nothing_is_told_and_leaves_nothing(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    remote_id = await submitted(sandbox, order())
    before = set(folder.iterdir())

    def refuse(_fd: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(module.os, "fsync", refuse)
    with pytest.raises(SubmitFailed) as caught:
        await sandbox.submit(order(), intent)
    assert (caught.value.verdict, caught.value.failure.code) == (Verdict.REFUSED, code)
    with pytest.raises(FetchFailed) as looked:
        await sandbox.cancel(remote_id)
    assert (looked.value.gone, looked.value.failure.code) == (False, code)
    assert set(folder.iterdir()) == before


async def test_many_orders_at_once_are_all_taken(tmp_path: Path) -> None:
    """The sweep of one order once met the temporary file of another that was being renamed."""
    sandbox = Sandbox(tmp_path, duration_s=0)

    async def nothing() -> None: ...

    async def submit(n: int) -> None:
        order = Order(key=f"a-{n}", edit=Edit(prompt="a lake"), prompt="a lake", seed=n)
        snapshots.append(await sandbox.submit(order, nothing))

    snapshots: list[Snapshot] = []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for n in range(60):
                tasks.start_soon(submit, n)
    assert len({snapshot.remote_id for snapshot in snapshots}) == 60

"""Work on pictures: a preview and a change report beside Pillow alone, and what previews do to everyone else's wait.

What this is: pictures of one megapixel, as FLUX.1 Kontext gives them. What it is not: whole calls (`over_stdio`).
Above: run. Below: samples, rows.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
from PIL import Image, ImageChops
from rows import Row, percentile
from samples import MEGAPIXEL, photo

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_tools import changes, prints
from support.many_images import fill

PREVIEW_PX = 768
ASKING = 4
"""So many ask for previews at once; two are worked on (`darkroom.AT_ONCE`)."""
BEAT_S = 0.001


def rows(*, rounds: int = 25, turns: int = 7, each: int = 10) -> list[Row]:
    """Measure.

    Args:
        rounds: interleaved, of each piece of work.
        turns: interleaved, of previews while the loop's stalls are measured.
        each: previews that each of those who ask is given in a turn, and as many by Pillow alone.
    """
    before, after = photo(), photo("rocket.jpg")
    preview_ms, plain_preview_ms, report_ms, plain_report_ms = (list[float]() for _ in range(4))
    for _ in range(rounds):
        preview_ms.append(_cpu_ms(lambda: prints.preview(before, PREVIEW_PX)))
        plain_preview_ms.append(_cpu_ms(lambda: _encoded(_decoded(before, PREVIEW_PX))))
        report_ms.append(_cpu_ms(lambda: changes.compare(changes.copy_of(before), changes.copy_of(after))))
        plain_report_ms.append(_cpu_ms(lambda: _difference(before, after)))
    ours, floor = anyio.run(_stalls, turns, each)
    return [
        Row(
            name=f"preview of a 1 MP PNG at {PREVIEW_PX} px beside Pillow alone, CPU",
            unit="ms",
            ours=preview_ms,
            floor=plain_preview_ms,
            target="at most 1.2 x",
        ),
        Row(
            name="change report of two 1 MP PNGs beside Pillow alone, CPU",
            unit="ms",
            ours=report_ms,
            floor=plain_report_ms,
            target="at most 1.2 x",
        ),
        Row(
            name="p99 of the event loop's stalls while previews are made, beside Pillow in two threads",
            unit="ms",
            ours=ours,
            floor=floor,
            target="under 20 ms",
        ),
    ]


def _cpu_ms(work: Callable[[], object]) -> float:
    """Give the CPU time of work in this thread: nobody else's work is counted."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def _decoded(data: bytes, longest_px: int) -> Image.Image:
    """Open, convert and scale down, in the way that our copies are."""
    with Image.open(io.BytesIO(data)) as image:
        scale = longest_px / max(image.size)
        size = round(image.width * scale), round(image.height * scale)
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)  # pyright: ignore[reportUnknownMemberType]  # as it is typed


def _encoded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()


def _difference(before: bytes, after: bytes) -> list[int]:
    old, new = _decoded(before, changes.COPY_PX), _decoded(after, changes.COPY_PX)
    return ImageChops.difference(old, new).convert("L").histogram()


async def _stalls(turns: int, each: int) -> tuple[list[float], list[float]]:
    """Let a task that only wants to run each millisecond note how late it was, while others make previews.

    The floor is a loop whose pixels are worked on by Pillow alone, in two threads, so that what a machine with two
    cores and one interpreter's lock does to any loop is told. Each sample is the p99 of a turn.
    """
    ours, floor = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), ASKING, pictures=ASKING, size=MEGAPIXEL)
        files = [file.read_bytes() for file in (Path(name) / "images").iterdir()]
        app = build(load(kontext_data_dir=name))
        slots = anyio.CapacityLimiter(2)
        async with app.running():
            for turn in range(turns):

                async def one(who: int, n: int, turn: int = turn) -> None:
                    # A size that nobody asked for before: what was made lately would be given again.
                    size_px = PREVIEW_PX - turn * each - n
                    await app.studio.preview_of(LOCAL_OWNER, f"car-{who:06}/1", size_px)

                async def plain(who: int, n: int) -> None:
                    data = files[who]
                    await anyio.to_thread.run_sync(lambda: _encoded(_decoded(data, PREVIEW_PX - n)), limiter=slots)

                ours.append(await _late_ms(one, each))
                floor.append(await _late_ms(plain, each))
    return ours, floor


async def _late_ms(work: Callable[[int, int], Awaitable[None]], each: int) -> float:
    """Give the p99 of how late a task was while others did so much work each."""
    late_ms: list[float] = []

    async def do(who: int) -> None:
        for n in range(each):
            await work(who, n)

    async with _heart(late_ms), anyio.create_task_group() as tasks:
        for who in range(ASKING):
            tasks.start_soon(do, who)
    return percentile(late_ms, 0.99)


@asynccontextmanager
async def _heart(late_ms: list[float]) -> AsyncGenerator[None]:
    async def beat() -> None:
        while True:
            began = time.perf_counter()
            await anyio.sleep(BEAT_S)
            late_ms.append((time.perf_counter() - began - BEAT_S) * 1000)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        yield
        tasks.cancel_scope.cancel()

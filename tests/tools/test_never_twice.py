"""Whatever a provider does, in whatever order: no send is accepted twice, no success is without a picture."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kontext_tools.errors import (
    AuthFailed,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from kontext_tools.jobs import Job, JobStatus, SendState
from kontext_tools.providers.base import FetchFailed, Phase, RemoteOutput, Snapshot, SubmitFailed, Verdict
from support.scripted import Scripted, Step, waiting
from support.workshop import output, workshop

ENDED = (SendState.COMPLETED, SendState.FAILED, SendState.CANCELLED, SendState.UNKNOWN)
UNREACHED = ProviderUnavailable("not reached", fix="again").failure

TAKEN: dict[str, Step] = {
    "done": Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(output(),)),
    "done with junk": Snapshot(phase=Phase.DONE, remote_id="r1", outputs=(RemoteOutput(data=b"junk"),)),
    "done with nothing": Snapshot(phase=Phase.DONE, remote_id="r1"),
    "waiting": waiting(),
    "working": Snapshot(phase=Phase.WORKING, remote_id="r1", raw_status="odd"),
    "failed": Snapshot(phase=Phase.FAILED, remote_id="r1", failure=ProviderError("no", fix="else").failure),
    "cancelled": Snapshot(phase=Phase.CANCELLED, remote_id="r1"),
    "no id": Snapshot(phase=Phase.WAITING),
}
LOST: dict[str, Step] = {
    "lost": SubmitFailed(Verdict.UNKNOWN, OutcomeUnknown("lost", fix="look").failure),
    "a bug": RuntimeError("a bug in an adapter"),
}
NOT_TAKEN: dict[str, Step] = {
    "unreached": SubmitFailed(Verdict.NOT_TAKEN, UNREACHED),
    "limited": SubmitFailed(Verdict.NOT_TAKEN, RateLimited("wait", fix="wait", retry_after_s=1).failure),
    "refused": SubmitFailed(Verdict.REFUSED, AuthFailed("no", fix="key").failure),
}
LOOKS: dict[str, Step] = {
    **{name: step for name, step in TAKEN.items() if name != "no id"},
    "unreached": FetchFailed(UNREACHED),
    "gone": FetchFailed(UNREACHED, gone=True),
}
CREATES = {**TAKEN, **LOST, **NOT_TAKEN}


@given(
    creates=st.lists(st.sampled_from(sorted(CREATES)), min_size=1, max_size=4),
    looks=st.lists(st.sampled_from(sorted(LOOKS)), max_size=4),
    images=st.integers(1, 3),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_send_is_accepted_twice_and_no_success_is_without_a_picture(
    creates: list[str], looks: list[str], images: int
) -> None:
    accepted: list[str] = []
    provider = Scripted(
        creates=[_noting(name, accepted) for name in creates], looks=[*(LOOKS[name] for name in looks), LOOKS["done"]]
    )
    job = anyio.run(_carried_through, provider, images)
    keys = [order.key for order in provider.creates]
    taken = [key for key, name in zip(keys, accepted, strict=True) if name not in NOT_TAKEN]
    assert len(set(taken)) == len(taken), "a send that may have been taken was sent again"
    assert (job.status is JobStatus.COMPLETED) == bool(job.outputs)


def _noting(name: str, accepted: list[str]) -> Step:
    async def create() -> Snapshot:
        await anyio.lowlevel.checkpoint()
        accepted.append(name)
        step = CREATES[name]
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, Snapshot)
        return step

    return create


async def _carried_through(provider: Scripted, images: int) -> Job:
    with tempfile.TemporaryDirectory() as folder, anyio.fail_after(60):
        async with workshop(Path(folder), provider) as shop:
            view = await shop.generate(num_images=images)
            return await shop.until(view.job.id, *ENDED)

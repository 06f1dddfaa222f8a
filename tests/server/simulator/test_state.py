from __future__ import annotations

import math

import pytest

from kontext_server.simulator import state as state_module
from kontext_server.simulator.faults import Fault
from kontext_server.simulator.pictures import Recipe
from kontext_server.simulator.state import Accepted, Job, Phase, State

WIRE = "core.today"
RECIPE = Recipe(prompt="p", seed="", size=(64, 64), source=b"", format="jpg")


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def state() -> State:
    return State(wires=(WIRE,), clock=_Clock(), job_seconds=10.0, output_seconds=60.0)


def _accept(state: State, *, public: bool = False, **fault: object) -> Job:
    accepted = Accepted(wire=WIRE, model="m", input={}, asked={}, recipe=RECIPE, public=public)
    return state.accept(accepted, Fault.model_validate({"wire": WIRE, "on": "create", **fault}))


def _fault(fault: str, **options: str) -> Fault:
    return Fault.model_validate({"wire": WIRE, "on": "get", "fault": fault, **options})


def test_a_job_waits_a_fifth_of_its_time_then_works_then_is_done(state: State) -> None:
    job = _accept(state)
    told = [(at, job.phase(1000 + at)) for at in (0, 1.9, 2, 9.9, 10, 1e9)]
    assert [phase for _, phase in told] == ["waiting", "waiting", "working", "working", "done", "done"]


def test_a_script_may_make_one_job_slow(state: State) -> None:
    job = _accept(state, seconds=100)
    assert (job.phase(1019.9), job.phase(1020), job.phase(1100)) == ("waiting", "working", "done")
    assert job.output.expires_at == 1160


@pytest.mark.parametrize(
    ("fault", "ending", "error"),
    [
        ("fail", Phase.FAILED, "Prediction failed"),
        ("moderated", Phase.FAILED, state_module.MODERATED),
        ("cancelled_elsewhere", Phase.CANCELLED, None),
    ],
)
def test_a_fate_from_the_start_comes_at_the_end_and_one_while_asking_comes_at_once(
    state: State, fault: str, ending: Phase, error: str | None
) -> None:
    fated, struck = _accept(state, fault=fault), _accept(state)
    struck.suffer(_fault(fault), 1005)
    assert (fated.phase(1005), fated.phase(1010), fated.error) == ("working", ending, error)
    assert (struck.phase(1005), struck.error) == (ending, error)


def test_a_failure_has_the_words_of_its_script(state: State) -> None:
    assert _accept(state, fault="fail", error="out of paint").error == "out of paint"


@pytest.mark.parametrize("fault", ["fail", "cancelled_elsewhere", "never_ends"])
def test_nothing_changes_a_job_that_has_ended(state: State, fault: str) -> None:
    job = _accept(state)
    job.suffer(_fault(fault), 1010)
    assert job.phase(1010) is Phase.DONE


def test_an_endless_job_can_only_be_cancelled(state: State) -> None:
    job = _accept(state, fault="never_ends")
    assert job.phase(1e12) is Phase.WORKING
    assert job.end(Phase.CANCELLED, 2000)
    assert not job.end(Phase.FAILED, 3000)
    assert job.phase(1e12) is Phase.CANCELLED


def test_a_job_asked_about_may_be_made_endless(state: State) -> None:
    job = _accept(state)
    job.suffer(_fault("never_ends"), 1001)
    assert job.ends_at == math.inf


def test_jobs_without_a_seed_get_different_pictures(state: State) -> None:
    assert _accept(state).output.read() != _accept(state).output.read()


def test_the_public_file_shows_the_same_and_never_expires(state: State) -> None:
    job = _accept(state, public=True)
    assert job.public is not None
    assert job.public.read() == job.output.read()
    assert (job.public.expires_at, job.output.expires_at) == (math.inf, 1070)
    assert "?" not in job.public.url("http://h")


def test_the_oldest_jobs_make_room(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MOST_JOBS", 2)
    ids = [_accept(state).id for _ in range(3)]
    assert list(state.jobs) == ids[1:]
    assert state.charged[WIRE] == 3


def test_a_reset_forgets_everything(state: State) -> None:
    job = _accept(state)
    state.creates[WIRE] += 1
    state.script({"wire": WIRE, "on": "get", "fault": "500"})
    assert state.counter() == {"charged": {WIRE: 1}, "creates": {WIRE: 1}}
    state.reset()
    assert state.counter() == {"charged": {WIRE: 0}, "creates": {WIRE: 0}}
    assert (state.jobs, state.faults.waiting(), state.files.get(job.output.name)) == ({}, [], None)

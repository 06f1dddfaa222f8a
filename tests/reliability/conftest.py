"""What several suites of the bar ask for."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from support.hosted import Hosted, Kept, ManyMachines, OneMachine, hosting

PLACES = ("one machine", "many machines")


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Kept]:
    """A folder, and a place for the one server of a module."""
    folder = tmp_path_factory.mktemp("place")
    return folder, _kept(request, folder)


@pytest.fixture(scope="module")
def hosted(place: tuple[Path, Kept]) -> Generator[Hosted]:
    """One server for all of a module, at each place: each test signs people in under names of its own."""
    with hosting(*place) as server:
        yield server


@pytest.fixture(params=PLACES)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """A place for a server of the test's own."""
    return _kept(request, tmp_path)


def _kept(request: pytest.FixtureRequest, folder: Path) -> Kept:
    if request.param == "one machine":
        return OneMachine(folder)
    return ManyMachines(request.getfixturevalue("postgres"), request.getfixturevalue("storage"))

"""What several suites of the bar ask for."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from support.hosted import PLACES, Hosted, hosting


@pytest.fixture(scope="module", params=PLACES)
def hosted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Hosted]:
    """One server for all of a module, at each place: each test signs people in under names of its own."""
    place: str = request.param
    with hosting(tmp_path_factory.mktemp("hosted"), place) as server:
        yield server

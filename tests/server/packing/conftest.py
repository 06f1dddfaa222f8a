"""What the tests of packing share: each thing is built once."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from support.built import ROOT, sdist_of, wheel_of


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the tree as it stands."""
    return wheel_of(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of the tree as it stands, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist_of(ROOT, folder)) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = [path for path in folder.iterdir() if path.is_dir()]
    return unpacked

"""Versions: what is missing or does not fit the package's own bounds is named with what is needed."""

from __future__ import annotations

import importlib.metadata
import re

import pytest

from kontext_server.doctor import installation
from server.doctor.conftest import MakeCase

pytestmark = pytest.mark.anyio


async def told(case: MakeCase, **facts: object) -> dict[str, tuple[str, str]]:
    lines = await installation.look(case(**facts))
    return {line.name: (line.status.value, line.cause) for line in lines}


async def test_what_is_installed_here_fits(case: MakeCase) -> None:
    lines = await told(case)
    assert [status for status, _ in lines.values()] == ["ok", "ok", "ok"]
    assert lines["packages"][1] == "all 11 that are needed are here, in versions that fit"
    assert lines["kontext"][1].startswith("0.1.0 on ")


async def test_an_old_python_is_told(case: MakeCase) -> None:
    assert (await told(case, python=(3, 10, 14)))["python"] == ("fail", "3.10.14 is too old")


@pytest.mark.parametrize(
    ("version", "misfit"),
    [
        ("4.8.9", "anyio is 4.8.9, and <5, >=4.9 is needed"),
        ("5.0.0", "anyio is 5.0.0, and <5, >=4.9 is needed"),
        ("5.0.0rc1", "anyio is 5.0.0rc1, and <5, >=4.9 is needed"),
        ("4.9", None),
        ("4.9.0.post1", None),
        ("4.10", None),
    ],
)
async def test_a_version_out_of_bounds_is_named_with_them(case: MakeCase, version: str, misfit: str | None) -> None:
    def version_of(name: str) -> str:
        return version if name == "anyio" else importlib.metadata.version(name)

    status, cause = (await told(case, version_of=version_of))["packages"]
    assert (status, cause) == (
        ("ok", "all 11 that are needed are here, in versions that fit") if misfit is None else ("fail", misfit)
    )


async def test_a_missing_package_is_named(case: MakeCase) -> None:
    def version_of(name: str) -> str:
        if name == "httpx2":
            raise importlib.metadata.PackageNotFoundError
        return importlib.metadata.version(name)

    assert (await told(case, version_of=version_of))["packages"] == ("fail", "httpx2 is missing")


async def test_sources_that_are_not_installed_are_a_warning(case: MakeCase) -> None:
    def needs_of(_: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError

    told_of = (await told(case, needs_of=needs_of))["packages"]
    assert told_of == ("warn", "kontext runs from its sources and is not installed as a package")


def test_our_own_bounds_are_of_the_two_kinds_that_are_read() -> None:
    needed = [line for line in importlib.metadata.requires("kontext-tool-server") or [] if "extra ==" not in line]
    assert [line for line in needed if not re.fullmatch(r"[a-z0-9-]+(<|>=)[0-9.]+,(<|>=)[0-9.]+", line)] == []

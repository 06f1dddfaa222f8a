"""Folders: each trouble is a line of its own; nothing is made by a look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from kontext_server.doctor import folders
from kontext_server.doctor.findings import Finding
from server.doctor.conftest import MakeCase

pytestmark = pytest.mark.anyio


def having(free: int) -> Callable[[Path], int]:
    return lambda _: free


async def told(case: MakeCase, settings: dict[str, Any] | None = None, **facts: Any) -> dict[str, Finding]:
    made = case(settings, **({"free_bytes": having(5 << 30)} | facts))
    return {line.name: line for line in await folders.look(made)}


def shown(line: Finding, home: Path) -> tuple[str, ...]:
    texts = (line.cause, *([line.fix] if line.fix else []))
    return (line.status.value, *(text.replace(str(home), "~") for text in texts))


async def test_on_a_new_machine_nothing_is_there_yet_and_nothing_is_made(case: MakeCase, home: Path) -> None:
    (home / "Downloads").mkdir()
    lines = await told(case)
    assert {name: shown(line, home) for name, line in lines.items()} == snapshot(
        {
            "data folder": ("ok", "~/data is made at the first start"),
            "space": ("ok", "5.4 GB are free at ~"),
            "image folders": ("ok", "~/Downloads"),
        }
    )
    assert not (home / "data").exists()


async def test_a_folder_in_use_is_told_by_its_path(case: MakeCase, home: Path) -> None:
    (home / "data").mkdir(mode=0o700)
    assert shown((await told(case))["data folder"], home) == ("ok", "~/data")


async def test_a_data_folder_that_cannot_be_written_is_a_failure_of_the_settings(case: MakeCase, home: Path) -> None:
    (home / "file").write_text("")
    at_it = (await told(case, {"KONTEXT_DATA_DIR": home / "file"}))["data folder"]
    below = (await told(case, {"KONTEXT_DATA_DIR": home / "file" / "in"}))["data folder"]
    assert [shown(at_it, home), shown(below, home)] == snapshot(
        [
            (
                "fail",
                "~/file cannot be written (Not a directory)",
                "Set KONTEXT_DATA_DIR to an absolute path of a folder that you may write to.",
            ),
            (
                "fail",
                "~/file/in cannot be made: ~/file cannot be written (Not a directory)",
                "Set KONTEXT_DATA_DIR to an absolute path of a folder that you may write to.",
            ),
        ]
    )
    assert at_it.of_settings and below.of_settings


async def test_a_relative_data_folder_is_refused_as_the_server_would(case: MakeCase, home: Path) -> None:
    line = (await told(case, {"KONTEXT_DATA_DIR": "data"}))["data folder"]
    assert shown(line, home) == snapshot(
        (
            "fail",
            "KONTEXT_DATA_DIR is no absolute path",
            "Set KONTEXT_DATA_DIR to an absolute path of a folder that you may write to.",
        )
    )


@pytest.mark.parametrize(
    ("free", "line"),
    [
        (
            (100 << 20) - 1,
            snapshot(
                (
                    "fail",
                    "105 MB are free at ~: a paid picture could not be kept",
                    "Free space there, or set KONTEXT_DATA_DIR elsewhere.",
                )
            ),
        ),
        (
            (1 << 30) - 1,
            snapshot(("warn", "1074 MB are free at ~", "Free space there, or set KONTEXT_DATA_DIR elsewhere.")),
        ),
        (1 << 30, snapshot(("ok", "1.1 GB are free at ~"))),
    ],
    ids=["none", "little", "enough"],
)
async def test_space_is_told(case: MakeCase, home: Path, free: int, line: object) -> None:
    assert shown((await told(case, free_bytes=having(free)))["space"], home) == line


async def test_what_others_may_read_is_told_with_the_command_that_closes_it(case: MakeCase, home: Path) -> None:
    (home / "data").mkdir(mode=0o700)
    for name, mode in (("kontext.db", 0o644), ("secret.key", 0o600)):
        (home / "data" / name).write_text("")
        (home / "data" / name).chmod(mode)
    of_a_file = (await told(case))["privacy"]
    (home / "data").chmod(0o755)
    of_both = (await told(case))["privacy"]
    (home / "data").chmod(0o700)
    (home / "data" / "kontext.db").chmod(0o600)
    assert [shown(of_a_file, home), shown(of_both, home)] == snapshot(
        [
            (
                "warn",
                "rights in the data folder let other users of this machine in: kontext.db",
                "chmod 600 '~/data/kontext.db'",
            ),
            (
                "warn",
                "rights in the data folder let other users of this machine in: the folder itself, kontext.db",
                "chmod 700 '~/data' && chmod 600 '~/data/kontext.db'",
            ),
        ]
    )
    assert "privacy" not in await told(case)


@pytest.mark.parametrize(
    ("kind", "warned"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False), ("tmpfs", False)]
)
async def test_a_network_file_system_is_a_warning(case: MakeCase, home: Path, kind: str, *, warned: bool) -> None:
    mounts = home / "mounts"
    place = str(home).replace(" ", "\\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {place} {kind} rw 0 0\nnfs {place}/elsewhere nfs4 rw 0 0\n")
    line = (await told(case, mounts=mounts)).get("disk")
    cause = f"the data folder is on a network file system ({kind}): the database may break"
    assert (line.cause if line else None) == (cause if warned else None)


@pytest.mark.parametrize(
    ("name", "synced"),
    [
        ("Dropbox", True),
        ("Dropbox (Personal)", True),
        ("OneDrive - Example", True),
        ("Google Drive", True),
        ("Mobile Documents", True),
        ("CloudStorage", True),
        ("dropboxes", False),
        ("pictures", False),
    ],
)
async def test_a_synced_folder_is_a_warning(case: MakeCase, home: Path, name: str, *, synced: bool) -> None:
    line = (await told(case, {"KONTEXT_DATA_DIR": home / name / "kontext"})).get("disk")
    cause = f"the data folder is in a synced folder ({name}): the database may break"
    assert (line.cause if line else None) == (cause if synced else None)


async def test_the_folder_for_copies_is_looked_at_where_it_is_set(case: MakeCase, home: Path) -> None:
    (home / "file").write_text("")
    made = (await told(case, {"KONTEXT_OUTPUT_DIR": home / "out"}))["output folder"]
    here = (await told(case, {"KONTEXT_OUTPUT_DIR": home}))["output folder"]
    wrong = (await told(case, {"KONTEXT_OUTPUT_DIR": home / "file"}))["output folder"]
    assert [shown(line, home) for line in (made, here, wrong)] == snapshot(
        [
            ("ok", "~/out is made with the first picture"),
            ("ok", "~"),
            (
                "fail",
                "~/file cannot be written (Not a directory): finished pictures are not copied",
                "Set KONTEXT_OUTPUT_DIR to a folder that you may write to, or unset it.",
            ),
        ]
    )
    assert "output folder" not in await told(case)


async def test_folders_for_inputs_that_a_person_named_must_be_there(case: MakeCase, home: Path) -> None:
    some = (await told(case, {"KONTEXT_IMAGE_ROOTS": [home, home / "none"]}))["image folders"]
    none = (await told(case, {"KONTEXT_IMAGE_ROOTS": [home / "none"]}))["image folders"]
    no_name = (await told(case, {"KONTEXT_IMAGE_ROOTS": []}))["image folders"]
    assert [shown(line, home) for line in (some, none, no_name)] == snapshot(
        [
            (
                "warn",
                "not there, or not to be read: ~/none",
                "Make the folder, allow this program to read it, or set KONTEXT_IMAGE_ROOTS to folders that are there.",
            ),
            (
                "warn",
                "a model can read no picture of this machine: ~/none",
                "Make the folder, allow this program to read it, or set KONTEXT_IMAGE_ROOTS to folders that are there.",
            ),
            (
                "warn",
                "a model can read no picture of this machine: none is named",
                "Make the folder, allow this program to read it, or set KONTEXT_IMAGE_ROOTS to folders that are there.",
            ),
        ]
    )

"""Settings: each wrong one is a line, a slip a warning, and a key that others may read too."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from kontext_server.doctor import configuration
from kontext_server.doctor.case import Case, open_case
from kontext_server.doctor.findings import fail, ok, warn
from server.doctor.conftest import MakeCase

pytestmark = pytest.mark.anyio

FIX = "Correct or remove it, in the environment or in kontext.toml."


def toml(home: Path, text: str, mode: int = 0o600) -> Path:
    path = home / "config" / "kontext" / "kontext.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


async def test_it_is_told_where_settings_are_read_from(case: MakeCase, home: Path) -> None:
    without = await configuration.look(case())
    path = toml(home, 'KONTEXT_PREVIEW = "none"', 0o644)
    assert without == [ok("settings", f"read from the environment; there is no {path}")]
    assert await configuration.look(case()) == [ok("settings", f"read from the environment and {path}")]


async def test_every_wrong_value_is_a_line_that_names_what_is_taken(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONTEXT_PREVIEW", "wrong-zqxj")
    monkeypatch.setenv("KONTEXT_WAIT_SECONDS", "99")
    made = open_case(online=False)
    assert made.settings is None
    assert await configuration.look(made) == [
        fail(
            "settings",
            "KONTEXT_PREVIEW is wrong: it takes 'none', 'small', 'medium' or 'large'",
            FIX,
            of_settings=True,
        ),
        fail(
            "settings",
            "KONTEXT_WAIT_SECONDS is wrong: it takes less than or equal to 50",
            FIX,
            of_settings=True,
        ),
    ]


async def test_an_unknown_name_in_the_file_is_told_with_the_nearest(home: Path) -> None:
    toml(home, 'KONTEXT_PREWIEW = "none"')
    (line,) = await configuration.look(open_case(online=False))
    assert (line.status, line.of_settings) == ("fail", True)
    assert line.cause == snapshot(
        'kontext.toml holds "KONTEXT_PREWIEW", which is no setting of this version; the nearest is KONTEXT_PREVIEW'
    )


async def test_an_unknown_variable_is_a_warning_with_the_nearest(case: MakeCase) -> None:
    _, line = await configuration.look(case(environment={"KONTEXT_DATADIR": "zqxj", "PATH": "/bin"}))
    assert line == warn(
        "variables",
        'Variables that are no settings of this version do nothing: "KONTEXT_DATADIR" (the nearest is '
        "KONTEXT_DATA_DIR).",
        "Correct their names, or unset them.",
    )


@pytest.mark.parametrize(
    ("text", "mode", "warned"),
    [
        ('BFL_API_KEY = "0123456789"', 0o644, True),
        ('BFL_API_KEY = "0123456789"', 0o640, True),
        ('bfl_api_key = "0123456789"', 0o644, True),
        ('BFL_API_KEY = "0123456789"', 0o600, False),
        ('BFL_API_KEY = ""', 0o644, False),
        ('KONTEXT_PREVIEW = "none"', 0o644, False),
    ],
)
async def test_a_file_that_holds_a_key_is_its_owners_alone(
    case: MakeCase, home: Path, text: str, mode: int, *, warned: bool
) -> None:
    path = toml(home, text, mode)
    lines = (await configuration.look(case()))[1:]
    cause = f"{path} holds a key and may be read by other users of this machine"
    assert list(lines) == ([warn("kontext.toml", cause, f"chmod 600 '{path}'")] if warned else [])


async def test_a_file_that_is_no_toml_is_told_by_its_kind_alone(home: Path) -> None:
    toml(home, 'BFL_API_KEY = "zqxj')
    lines = await configuration.look(open_case(online=False))
    assert list(lines) == [fail("settings", "kontext.toml cannot be read: TOMLDecodeError", FIX, of_settings=True)]


def test_a_case_without_settings_gives_none() -> None:
    with pytest.raises(AssertionError):
        _ = Case(settings=None).read

"""Where a browser is opened: only where somebody could see it."""

from __future__ import annotations

import pytest

from kontext_server.cli.opening import has_display


@pytest.mark.parametrize(
    ("system", "variables", "release", "shown"),
    [
        ("linux", {}, "6.8.0-generic", False),
        ("linux", {"DISPLAY": "", "WAYLAND_DISPLAY": ""}, "6.8.0-generic", False),
        ("linux", {"DISPLAY": ":0"}, "6.8.0-generic", True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, "6.8.0-generic", True),
        ("linux", {}, "5.15.153.1-microsoft-standard-WSL2", True),
        ("linux", {}, "4.4.0-19041-Microsoft", True),
        ("darwin", {}, "23.5.0", True),
        ("win32", {}, "11", True),
    ],
)
def test_a_browser_is_opened_where_there_is_a_display(
    system: str, variables: dict[str, str], release: str, shown: bool
) -> None:
    assert has_display(system, variables, release) is shown

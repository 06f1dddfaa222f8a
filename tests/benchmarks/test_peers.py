"""The peers' table is made of what was measured, and says why where nothing could be; no time is asserted."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from benchmarks.environments import MOST_CHARS, OfNpm, OfPip, why
from benchmarks.peers import FLOORS, OTHERS, OURS, ROOT, Measured, Peer, characters, folder_of, surroundings, table
from benchmarks.rows import NotStarted, Started, answer_in, start

BARE = (sys.executable, str(Path(__file__).parent / "bare_server.py"))
ECHO = {"inputSchema": {"properties": {"text": {"type": "string"}}, "type": "object"}, "name": "echo"}


def _started(wall_ms: float) -> Started:
    return Started(wall_ms=wall_ms, cpu_ms=wall_ms / 2, memory_mb=70.4, tools=[{"name": "é"}, {"name": "draw"}])


def test_the_table_tells_medians_or_why_there_are_none() -> None:
    lines = [
        Measured(label="one 1.0", packages=28, size_mb=31.6, starts=[_started(700), _started(500), _started(606)]),
        Measured(label="two 2.0", packages=40, size_mb=60.2, failure="does not start: KeyError: 'x'"),
        Measured(label="three", failure="does not install: ERROR: no matching distribution"),
    ]
    assert table(lines)[2:] == [
        "| one 1.0 | 606 (500-700) | 303 (250-350) | 70 | 28 | 32 | 2 | 30 | 14 (12-15) |",
        "| two 2.0 | does not start: KeyError: 'x' | - | - | 40 | 60 | - | - | - |",
        "| three | does not install: ERROR: no matching distribution | - | - | - | - | - | - | - |",
    ]
    assert len({line.count(" | ") for line in table(lines)}) == 1


def test_a_tool_is_counted_as_it_is_written_without_spaces() -> None:
    assert characters([{"name": "é", "inputSchema": {"type": "object"}}]) == len(
        '[{"name":"é","inputSchema":{"type":"object"}}]'
    )
    assert characters([]) == 2


def test_every_peer_is_pinned_from_below_and_from_above() -> None:
    for peer in (*FLOORS, *OTHERS):
        first, *repairs = peer.wanted
        if peer.made_by is OfNpm:
            name, _, versions = first.partition("@")
            bounds = {word.rstrip("0123456789.") for word in versions.split()}
        else:
            name, bounds = Requirement(first).name, {one.operator for one in Requirement(first).specifier}
        assert (name, bounds) == (peer.package, {">=", "<"}), peer
        assert all({one.operator for one in Requirement(repair).specifier} == {"<"} for repair in repairs), peer


def test_ours_is_installed_from_this_tree_as_a_user_would() -> None:
    assert (OURS.made_by, OURS.wanted) == (OfPip, (str(ROOT),))


def test_each_peer_has_an_environment_of_its_own_that_git_ignores() -> None:
    folders = [folder_of(peer) for peer in (OURS, *FLOORS, *OTHERS)]
    assert len(set(folders)) == len(folders)
    assert {folder.parent.relative_to(ROOT).as_posix() for folder in folders} == {".ci/peers"}
    assert ".ci/peers/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("peer", [pytest.param(peer, id=folder_of(peer).name) for peer in (OURS, *OTHERS)])
def test_a_start_sees_no_key_but_one_that_is_none(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in peer.settings:
        monkeypatch.setenv(name, "a real one")
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    seen = surroundings(peer, tmp_path)
    assert "a real one" not in seen.values()
    assert {value for name, value in seen.items() if name.lower().endswith("_proxy")} == {"http://127.0.0.1:9"}
    assert set(seen) - set(peer.settings) == {
        "PATH",
        "HOME",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    }


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("", "it said nothing"),
        ("\n  cannot go on\nat all\n", "cannot go on"),
        (
            "Traceback (most recent call last):\n  File \"/home/me/x.py\"\nAttributeError: module 'mcp' has no x\n",
            "AttributeError: module 'mcp' has no x",
        ),
        (
            "Looking in indexes: https://packages.example/simple\nERROR: Could not find a version of x\n",
            "ERROR: Could not find a version of x",
        ),
        (
            "npm error code E404\nnpm error 404 Not Found - GET https://packages.example/x - not here\n",
            "npm error 404 Not Found - GET … - not here",
        ),
        (
            "pydantic.errors.PydanticUserError: a | b in '/home/me/.ci/peers/x/lib/y.py'\n",
            "pydantic.errors.PydanticUserError: a / b in 'y.py'",
        ),
        ("OSError: " + "x" * 500, "OSError: " + "x" * (MOST_CHARS - 10) + "…"),
    ],
)
def test_why_is_one_line_without_folders_and_addresses(log: str, told: str) -> None:
    assert why(log) == told


def test_what_is_no_answer_on_stdout_is_passed_over() -> None:
    said = b'starting ...\n[1]\n{"jsonrpc":"2.0","method":"x"}\n{"id":1,"result":1}\n{"id":2,"result":{"tools":[]}}\n'
    assert answer_in(io.BytesIO(said), 2) == {"tools": []}
    with pytest.raises(EOFError):
        answer_in(io.BytesIO(said), 3)


def test_a_start_lists_the_tools_and_counts_what_the_server_started(tmp_path: Path) -> None:
    alone = start(BARE, surroundings(OURS, tmp_path))
    below = start(("sh", "-c", '"$@"; exit $?', "sh", *BARE), surroundings(OURS, tmp_path))
    assert [alone.tools, below.tools] == [[ECHO], [ECHO]]
    assert below.memory_mb > alone.memory_mb / 2 > 5


def test_a_server_that_ends_is_told_with_what_it_wrote(tmp_path: Path) -> None:
    program = "import sys; print('ready'); sys.exit('KeyError: no key')"
    with pytest.raises(NotStarted, match=r"^KeyError: no key\n$"):
        start((sys.executable, "-c", program), surroundings(OURS, tmp_path), folder=tmp_path)

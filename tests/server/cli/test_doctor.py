"""`kontext doctor`: its lines as a person and as a program reads them, how it ends, and what it never says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from inline_snapshot import snapshot

from kontext_server import doctor
from kontext_server.doctor import checkup
from kontext_server.simulator.serve import Running
from kontext_tools.choosing import KEY_VARIABLES
from support.canary import Hit, Told, canary

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]
OnTerminal = Callable[..., tuple[int, str, str]]

PAGE = Path(__file__).parents[3] / "docs" / "troubleshooting.md"
PLANTED = "zqxj81kfwm"
BEGINNINGS = {"core.today": "cdt_", "runflow": "rf_live_", "replicate": "r8_"}


@pytest.fixture(autouse=True)
def picture_folder(home: Path) -> None:
    """A home folder as most have it, and no key of this machine's."""
    (home / "Pictures").mkdir()


@pytest.fixture(autouse=True)
def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in KEY_VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def of_any_machine(text: str, home: Path) -> str:
    """Take out what another machine would tell otherwise."""
    text = text.replace(str(home), "~")
    for pattern, word in (
        (r"(?<=python         )[0-9.]+", "3.x"),
        (r"(?<=kontext        )\S+ on .+", "0.x on …"),
        (r"[0-9.]+ [GM]B are free", "… GB are free"),
        (r"\d[0-9,]+ characters", "… characters"),
    ):
        text = re.sub(pattern, word, text)
    return text


def test_with_the_sandbox_alone_it_ends_well_and_says_what_to_set_for_each(invoke: Invoke, home: Path) -> None:
    ended = invoke("doctor")
    assert ended.exit_code == 0
    assert of_any_machine(ended.stdout, home) == snapshot("""\
ok    python         3.x
ok    kontext        0.x on …
ok    packages       all 11 that are needed are here, in versions that fit
ok    settings       read from the environment; there is no ~/.config/kontext/kontext.toml
ok    core.today     off: set CORE_TODAY_API_KEY
ok    kkiai          off: set KKIAI_API_KEY
ok    runflow        off: set RUNFLOW_API_KEY
ok    eachlabs       off: set EACHLABS_API_KEY
ok    replicate      off: set REPLICATE_API_TOKEN
ok    bfl            off: set BFL_API_KEY
ok    fal            off: set FAL_KEY
ok    auto           sandbox: it edits by simple means, asks no model and costs nothing
ok    data folder    ~/.share/kontext is made at the first start
ok    space          … GB are free at ~
ok    image folders  ~/Pictures
ok    database       none yet: it is made at the first start
ok    clients        no client is told of this server yet: kontext install CLIENT
ok    serve          7 tools, … characters, in both protocol eras
""")
    assert ended.stderr == "Nothing failed, no warnings.\n"
    assert not (home / ".share").exists()


def test_what_is_to_be_mended_stands_below_its_line(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONTEXT_PROVIDER", "fal")
    ended = invoke("doctor")
    told = ended.stdout.splitlines()
    (at,) = [at for at, line in enumerate(told) if line.split()[1] == "auto"]
    assert told[at : at + 2] == snapshot(
        [
            "warn  auto           sandbox; fal of KONTEXT_PROVIDER is off",
            "                     Set FAL_KEY, or take fal out of KONTEXT_PROVIDER.",
        ]
    )
    assert (ended.exit_code, ended.stderr) == (0, "Nothing failed, 1 warning.\n")
    assert "\n".join(told[at : at + 2]) in PAGE.read_text("utf-8")


def test_the_page_about_trouble_explains_every_line_there_is() -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(doctor.__file__).parent.glob("*.py"))
    names = set(re.findall(r'\b(?:ok|warn|fail)\(\s*"([^"]+)"|\bname(?:, \w+)* = "([^"]+)"|REST = "([^"]+)"', sources))
    told = {name for groups in names for name in groups if name} | {check.name for check in checkup.CHECKS}
    assert len(told) > 20
    assert [name for name in sorted(told) if f"`{name}`" not in PAGE.read_text("utf-8")] == []


def test_as_json_it_is_one_ascii_object_of_the_same_lines(invoke: Invoke, home: Path) -> None:
    lines, as_json = invoke("doctor").stdout.splitlines(), invoke("doctor", "--json").stdout
    told = json.loads(as_json)
    assert as_json.isascii()
    assert {name: told[name] for name in told if name != "checks"} == {"ok": True, "version": "0.1.0"}
    assert [check["name"] for check in told["checks"]] == [line[6:].split("  ")[0] for line in lines]
    assert told["checks"][4] == {
        "name": "core.today",
        "status": "ok",
        "cause": "off: set CORE_TODAY_API_KEY",
        "fix": "",
    }


@pytest.mark.parametrize(
    ("settings", "code", "failed"),
    [
        ({"KONTEXT_PREVIEW": PLANTED}, 3, ["settings"]),
        ({"BFL_API_KEY": "your-key-here"}, 3, ["bfl"]),
        ({"KONTEXT_DATA_DIR": "{home}/cat.png"}, 3, ["data folder"]),
        ({"KONTEXT_DATA_DIR": "{home}/damaged"}, 1, ["database"]),
        ({"KONTEXT_DATA_DIR": "{home}/damaged", "FAL_KEY": "xxxx"}, 3, ["fal", "database"]),
    ],
)
def test_it_ends_with_3_where_a_setting_is_wrong_and_with_1_where_anything_else_failed(
    invoke: Invoke,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    code: int,
    failed: list[str],
) -> None:
    (home / "damaged").mkdir()
    (home / "damaged" / "kontext.db").write_text("no database")
    for name, value in settings.items():
        monkeypatch.setenv(name, value.format(home=home))
    ended = invoke("doctor", "--json")
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["ok"]) == (code, False)
    assert [check["name"] for check in told["checks"] if check["status"] == "fail"] == failed
    assert PLANTED not in ended.stdout + ended.stderr
    assert all(check["fix"] for check in told["checks"] if check["status"] != "ok")


def test_online_a_refused_key_ends_with_3_and_a_silent_provider_with_1(
    invoke: Invoke, simulator: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in simulator.settings_of("replicate").items():
        monkeypatch.setenv(name, value)
    well = invoke("doctor", "--online")
    monkeypatch.setenv("REPLICATE_API_TOKEN", "zqxj0123456789")
    refused = invoke("doctor", "--online")
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:1")
    silent = invoke("doctor", "--online")
    assert [well.exit_code, refused.exit_code, silent.exit_code] == [0, 3, 1]
    assert "it refuses the key in REPLICATE_API_TOKEN (HTTP 401)" in refused.stdout
    assert "127.0.0.1 is not reached" in silent.stdout
    assert simulator.state.counter()["creates"]["replicate"] == 0
    assert {entry.method for entry in simulator.state.journal.entries()} == {"GET"}


def test_on_a_terminal_the_words_are_coloured_unless_nobody_wants_that(on_terminal: OnTerminal) -> None:
    _, _, coloured = on_terminal("doctor", stdout_too=True)
    _, _, plain = on_terminal("doctor", stdout_too=True, env={"NO_COLOR": "1"})
    assert "\x1b[32mok\x1b[0m    python" in coloured
    assert "\x1b" not in plain
    assert plain.startswith("ok    python")


def echo(hit: Hit) -> Told:
    """A host that refuses what came and repeats it."""
    brought = " ".join(hit.headers.values())
    return Told(status=401, json={"detail": f"no such key: {brought}"})


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--online",), ("--online", "--json")])
@pytest.mark.parametrize("place", ["environment", "kontext.toml", "files"])
@pytest.mark.parametrize("shape", ["{}", "Bearer {}"], ids=["good", "bad"])
def test_no_part_of_a_key_is_told_or_logged_wherever_it_stood(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], place: str, shape: str
) -> None:
    planted = {
        variable: shape.format(f"{BEGINNINGS.get(name, '')}{PLANTED}{at}")
        for at, (name, variable) in enumerate(KEY_VARIABLES.items())
    }
    with canary(echo) as host:
        bases = {f"{name.replace('.', '_').upper()}_BASE_URL": host.base_url for name in KEY_VARIABLES}
        for name, value in (bases | {"KONTEXT_LOG_LEVEL": "debug"} | laid(planted, place, home)).items():
            monkeypatch.setenv(name, value)
        ended = invoke("doctor", *arguments)
        assert bool(host.hits) == ("--online" in arguments and shape == "{}")
    assert ended.exit_code == (3 if shape != "{}" or "--online" in arguments else 0), ended.stdout
    assert "Traceback" not in ended.stderr
    assert [text for text in (PLANTED, PLANTED[:4]) if text in ended.stdout + ended.stderr] == []


def laid(planted: dict[str, str], place: str, home: Path) -> dict[str, str]:
    """Put keys where settings are read from; give what of that stands in the environment."""
    if place == "environment":
        return planted
    if place == "kontext.toml":
        file = home / ".config" / "kontext" / "kontext.toml"
        file.parent.mkdir(parents=True)
        file.write_text("".join(f'{variable} = "{key}"\n' for variable, key in planted.items()))
        file.chmod(0o600)
        return {}
    for variable, key in planted.items():
        (home / variable).write_text(f"{key}\n")
    return {f"{variable}_FILE": str(home / variable) for variable in planted}


def test_of_a_person_who_has_used_it_nothing_is_changed(kontext: Kontext, home: Path) -> None:
    assert kontext("edit", "cat.png", "Make it warm").returncode == 0
    data = home / ".share" / "kontext"
    before = {path: path.stat().st_mtime_ns for path in sorted(data.rglob("*"))}
    ended = kontext("doctor")
    after = {path: path.stat().st_mtime_ns for path in sorted(data.rglob("*"))}
    assert ended.returncode == 0, ended.stdout
    assert after == before
    assert "pictures       the newest 1 are all here" in ended.stdout

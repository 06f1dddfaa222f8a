"""`delete` and `prune`: what a person is told, asked, and what is gone then, whatever is killed between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from inline_snapshot import snapshot

from kontext_server.cli import deleting, talk
from kontext_tools.forgetting import Forgotten
from kontext_tools.stores.forgets import Going, Hold

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]
OnTerminal = Callable[..., tuple[int, str, str]]

WORD = "quokka"
"""Stands far in a prompt, and so in no id: these stay."""

KILLED_BETWEEN = """
import os, sys
from kontext_tools.blobs.files import FileBlobs
FileBlobs.remove = lambda self, keys: os._exit(9)
from kontext_server.cli import main
main()
"""


def edited(
    invoke: Invoke,
    image: str = "cat.png",
    prompt: str = f"Make the whole picture much warmer, like a {WORD} in the sun",
) -> str:
    ended = invoke("edit", image, prompt, "--json")
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)["job_id"]


def data(home: Path) -> Path:
    return home / ".share" / "kontext"


def files(home: Path) -> list[str]:
    """Give what is kept beside the database."""
    folders = [data(home) / name for name in ("images", "sources", "thumbs")]
    return sorted(path.name for folder in folders if folder.is_dir() for path in folder.iterdir())


def test_without_a_terminal_nothing_is_deleted_but_with_a_yes(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    before = files(home)
    refused = invoke("delete", job)
    assert (refused.exit_code, refused.stdout, refused.stderr) == snapshot(
        (
            2,
            "",
            """\
To delete: 1 job, 1 picture, 0.2 MB.
Nothing was deleted: nobody can be asked here. To delete without being asked, add --yes.
""",
        )
    )
    assert files(home) == before and len(before) == 3
    gone = invoke("delete", job, "--yes")
    assert (gone.exit_code, gone.stdout, gone.stderr) == (
        0,
        f"{job}\n",
        snapshot("""\
To delete: 1 job, 1 picture, 0.2 MB.
Deleted: 1 job, 1 picture, 0.2 MB. `kontext usage` still tells the cost; copies elsewhere are untouched.
"""),
    )
    assert files(home) == []
    assert invoke("status", job).exit_code == 1
    assert json.loads(invoke("usage", "--json").stdout)["days"][0]["jobs"] == 1


def test_the_words_of_a_deleted_job_are_in_no_file_of_the_database(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    database = [data(home) / f"kontext.db{ending}" for ending in ("", "-wal", "-shm")]
    holding = [path.name for path in database if path.exists() and WORD.encode() in path.read_bytes()]
    assert holding != []
    invoke("delete", job, "--yes")
    assert [path.name for path in database if path.exists() and WORD.encode() in path.read_bytes()] == []


def test_a_dry_run_tells_what_would_go_and_deletes_nothing(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    child = edited(invoke, f"{job}/1", "Make the cat blue")
    size = next(data(home).glob(f"images/{job}-1.*g")).stat().st_size
    for command in (("delete", job), ("prune", "--older-than", "0d")):
        ended = invoke(*command, "--dry-run", "--json")
        deleted = [job] if command[0] == "delete" else [child, job]
        fields: dict[str, Any] = json.loads(ended.stdout)
        assert (ended.exit_code, fields["deleted"], fields["dry_run"]) == (0, deleted, True)
    assert json.loads(invoke("delete", job, "--dry-run", "--json").stdout) == {
        "deleted": [job],
        "images": 1,
        "bytes": size,
        "skipped": {},
        "dry_run": True,
    }
    assert "1 picture made from them stays, with no 'before' any more." in invoke("delete", job, "--dry-run").stderr
    assert "No picture that stays was made from them." in invoke("delete", child, "--dry-run").stderr
    assert invoke("status", job).exit_code == invoke("status", child).exit_code == 0


def test_what_must_stay_is_refused_with_what_to_do_and_nothing_goes(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    unknown, picture = (
        invoke("delete", job, "no-such-job-0000", "--yes"),
        invoke("delete", f"{job}/1", "--yes", "--json"),
    )
    assert (unknown.exit_code, picture.exit_code) == (1, 2)
    assert json.loads(picture.stdout)["error"]["fix"] == f"To delete the whole job: kontext delete {job}"
    assert invoke("delete").exit_code == 2
    assert invoke("prune", "--yes").exit_code == 2
    assert invoke("prune", "--older-than", "soon", "--yes").exit_code == 2
    assert len(files(home)) == 3


@pytest.mark.parametrize(("typed", "code"), [("n\n", 1), ("y\n", 0)])
def test_on_a_terminal_the_person_is_asked_and_told_of_what_stays(
    invoke: Invoke, home: Path, on_terminal: OnTerminal, typed: str, code: int
) -> None:
    job = edited(invoke)
    child = edited(invoke, f"{job}/1", "Make the cat blue")
    ended, out, shown = on_terminal("delete", job, typed=typed)
    assert (ended, out) == (code, "" if code else f"{job}\n")
    assert "1 picture made from them stays, with no 'before' any more." in shown
    assert "Delete them for good? [y/N]" in shown
    kept = {path.rpartition("-")[0] for path in files(home)} - {""}
    assert kept == ({job, child} if code else {child})


def test_old_jobs_are_pruned_and_the_rest_is_counted(invoke: Invoke, home: Path, on_terminal: OnTerminal) -> None:
    jobs = [edited(invoke, prompt=f"Make it {colour}") for colour in ("red", "blue")]
    young = invoke("prune", "--older-than", "90d")
    assert (young.exit_code, young.stdout, young.stderr) == (0, "", "There is nothing to delete.\n")
    code, out, shown = on_terminal("prune", "--older-than", "0d", typed="y\n")
    assert (code, sorted(out.split())) == (0, sorted(jobs))
    assert "To delete: 2 jobs, 2 pictures" in shown and "Deleting" in shown
    assert files(home) == []


def test_a_deletion_killed_between_rows_and_files_is_ended_by_the_next_command_that_drives_jobs(
    invoke: Invoke, home: Path, environment: dict[str, str]
) -> None:
    job = edited(invoke)
    arguments = [sys.executable, "-c", KILLED_BETWEEN, "delete", job, "--yes"]
    killed = subprocess.run(arguments, cwd=home, env=environment, capture_output=True, check=False, timeout=60)
    assert killed.returncode == 9
    assert len(files(home)) == 3
    assert invoke("status", job).exit_code == 1
    other = edited(invoke, prompt="Make it blue")
    assert {name for name in files(home) if name.startswith(job)} == set()
    assert json.loads(invoke("images", "--json").stdout)["images"][0]["ref"] == f"{other}/1"


def test_a_picture_whose_parent_was_deleted_is_shown_exported_and_edited_on(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    child = edited(invoke, f"{job}/1", "Make the cat blue")
    last = edited(invoke, f"{child}/1", "Make the cat green")
    invoke("delete", job, "--yes")
    shown = json.loads(invoke("status", child, "--json").stdout)
    assert "parent" not in shown
    assert shown["warnings"][-1] == "The picture that it was made from was deleted, so there is no 'before'."
    assert invoke("edit", f"{child}/1", "Make the cat black").exit_code == 0
    for name in (child, last):
        ended = invoke("export", name, "--html", f"{name}.html")
        assert ended.exit_code == 0, ended.stderr
        page = (home / f"{name}.html").read_text("utf-8")
        assert (f"kontext://images/{name}/0/preview" in page) is (name == last)
    assert job not in (home / f"{child}.html").read_text("utf-8")


def test_a_request_key_of_a_deleted_job_is_free_again(invoke: Invoke) -> None:
    keyed = ("--request-key", "once", "--json")
    first = json.loads(invoke("edit", "cat.png", "Make it warm", *keyed).stdout)["job_id"]
    assert invoke("edit", "cat.png", "Make it cold", *keyed).exit_code == 1
    invoke("delete", first, "--yes")
    again = invoke("edit", "cat.png", "Make it cold", *keyed)
    assert again.exit_code == 0 and json.loads(again.stdout)["job_id"] != first


def test_a_file_that_cannot_be_removed_is_told(invoke: Invoke, home: Path) -> None:
    job = edited(invoke)
    stuck = next(data(home).glob(f"images/{job}-1.*g"))
    stuck.unlink()
    stuck.mkdir()
    ended = invoke("delete", job, "--yes", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["files_left"]) == (0, True)
    assert "Some of it still lies on the disk" in ended.stderr


def test_what_stays_is_counted_by_why(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = Counter({Hold.RUNNING: 1, Hold.UNKNOWN: 2, Hold.YOUNGER: 1})
    assert deleting.tell(Forgotten(going=Going(), skipped=skipped), as_json=True) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {
        "deleted": [],
        "images": 0,
        "bytes": 0,
        "skipped": {"running": 1, "unknown": 2, "younger": 1},
    }
    assert told.err == snapshot("""\
1 stays: still running.
2 stay, each unknown; say what became of it: kontext jobs --resolve JOB charged|not-charged.
1 stays: a plan with a younger part.
There is nothing to delete.
""")


def test_every_reason_that_a_job_stays_for_has_words() -> None:
    assert set(deleting.STAYS) == set(Hold) - {Hold.STEP}


def test_progress_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(talk, "stderr_is_terminal", lambda: False)
    with deleting.shown(Going(job_ids=("red-car-4k7q",))) as gone:
        gone(1)
    assert capsys.readouterr() == ("", "")

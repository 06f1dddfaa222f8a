"""What a file holds of jobs: a small world of its own, with nothing of the person's but pictures and words."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import pytest

from kontext_server.app import LOCAL_OWNER, App, build
from kontext_server.settings import load
from kontext_server.surface.recording import NOT_TO_SHARE, recorded
from kontext_server.surface.resources import Resources
from kontext_tools.edits import Edit
from kontext_tools.errors import KontextError, NotFound, ResultInvalid
from kontext_tools.images import read_facts
from kontext_tools.jobs import Job
from kontext_tools.planning import Asked
from kontext_tools.plans import Step
from kontext_tools.views import Call, View
from support.many_images import add_siblings
from support.stdio_server import PHOTOS

T = TypeVar("T")
Found = dict[str, dict[str, str]]
CANARY = "kaNarie"
"""Stands in everything that is the person's own and no picture and no word of an edit."""
CALL = Call(owner=LOCAL_OWNER, wait_s=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A data folder, and the jobs in it."""

    folder: Path
    first: str
    second: str
    plan: str
    steps: tuple[str, str]
    drawn: str


def an_app(folder: Path) -> App:
    keys = {"core_today_api_key": f"{CANARY}-key-of-core", "kontext_output_dir": folder / "copies"}
    return build(load(kontext_data_dir=folder / "data", kontext_provider=("sandbox",), **keys), any_file=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp(CANARY)
    (folder / "copies").mkdir()
    photo = folder / "photo.png"
    photo.write_bytes((PHOTOS / "chelsea.png").read_bytes())
    app = an_app(folder)

    async def carried_out() -> Made:
        async def edited(edit: Edit) -> str:
            ended = app.studio.generate_image if edit.image is None else app.studio.edit_image
            view = await ended(edit, CALL)
            assert isinstance(view, View) and view.job.outputs
            return view.job.id

        with anyio.fail_after(100):
            async with app.running():
                first = await edited(Edit(prompt="Make it sepia", image=str(photo), num_images=2))
                second = await edited(Edit(prompt="Make it <b>blue</b>", image=f"{first}/2"))
                drawn = await edited(Edit(prompt="a [red]lake"))
                steps = (
                    Step(id="warm", edit=Edit(prompt="Make it warm", image=f"{second}/1")),
                    Step(id="night", edit=Edit(prompt="Make it night", image="$warm")),
                )
                plan = await app.studio.run_plan(Asked(steps=steps), CALL)
        assert isinstance(plan, View)
        jobs: list[Job] = [run.job for run in plan.job.runs if run.job is not None]
        warm, night = (job.id for job in jobs)
        return Made(folder=folder, first=first, second=second, plan=plan.job.id, steps=(warm, night), drawn=drawn)

    return anyio.run(carried_out)


def within(made: Made, work: Callable[[Resources], Awaitable[T]]) -> T:
    app = an_app(made.folder)

    async def worked() -> T | KontextError:
        async with app.running():
            try:
                return await work(Resources(app))
            except KontextError as error:  # the app's task group would wrap it
                return error

    done = anyio.run(worked)
    if isinstance(done, KontextError):
        raise done
    return done


def record(made: Made, *jobs: str) -> Found:
    return within(made, lambda resources: recorded(resources.content, jobs))


def read(made: Made, *uris: str) -> str:
    async def texts_of(resources: Resources) -> str:
        return "\n".join([str((await resources.content(uri)).data) for uri in uris])

    return within(made, texts_of)


def texts(found: Found) -> dict[str, Any]:
    return {uri: json.loads(one["text"]) for uri, one in found.items() if "text" in one}


def lines(found: Found) -> dict[str, tuple[list[str], list[str]]]:
    """Give of each image its ancestors and its descendants."""
    lineages = [fields for uri, fields in texts(found).items() if uri.endswith("/lineage")]
    return {
        fields["ref"]: ([one["ref"] for one in fields["ancestors"]], [one["ref"] for one in fields["descendants"]])
        for fields in lineages
    }


def named(value: Any) -> Iterator[str]:
    """Yield the names of all fields at any depth."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        yield from fields
        for item in fields.values():
            yield from named(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from named(item)


def test_a_job_has_its_images_and_its_source_each_with_its_facts_and_its_line(made: Made) -> None:
    found, job = record(made, made.first), made.first
    forms = [f"kontext://images/{job}/{n}/{form}" for n in (0, 1, 2) for form in ("preview", "meta", "lineage")]
    assert list(found) == [f"kontext://jobs/{job}", *forms]
    for n in (0, 1, 2):
        preview = found[f"kontext://images/{job}/{n}/preview"]
        assert (list(preview), preview["mimeType"]) == (["mimeType", "blob"], "image/jpeg")
        assert read_facts(base64.b64decode(preview["blob"])).width == 451
    assert lines(found) == {
        f"{job}/0": ([], [f"{job}/1", f"{job}/2"]),
        f"{job}/1": ([f"{job}/0"], []),
        f"{job}/2": ([f"{job}/0"], []),
    }


def test_the_facts_told_are_those_of_the_resources_but_for_what_is_not_to_share(made: Made) -> None:
    uri = f"kontext://images/{made.first}/1/meta"
    told = texts(record(made, made.first))[uri]
    whole = json.loads(read(made, uri))
    job = {name: value for name, value in whole.pop("job").items() if name not in NOT_TO_SHARE}
    assert told == {name: value for name, value in whole.items() if name not in NOT_TO_SHARE} | {"job": job}
    assert (told["ref"], told["media_type"], told["job"]["prompt"]) == (f"{made.first}/1", "image/png", "Make it sepia")
    assert {"cost", "change", "warnings", "provider", "seconds"} <= job.keys()


def test_an_image_of_an_earlier_job_is_told_as_the_source_that_it_was(made: Made) -> None:
    found, job = record(made, made.second), made.second
    assert lines(found) == {f"{job}/0": ([], [f"{job}/1"]), f"{job}/1": ([f"{job}/0"], [])}
    told = texts(found)
    # No word of where it came from: that is not in the file.
    assert "parent" not in told[f"kontext://jobs/{job}"]
    assert "parent" not in told[f"kontext://images/{job}/1/meta"]["job"]
    (source,) = told[f"kontext://images/{job}/1/lineage"]["ancestors"]
    (result,) = told[f"kontext://images/{job}/0/lineage"]["descendants"]
    assert {name: source[name] for name in source if name != "created_at"} == {
        "ref": f"{job}/0",
        "uri": f"kontext://images/{job}/0",
    }
    assert source["created_at"] == result["created_at"]
    assert (result["prompt"], result["parent"]) == ("Make it <b>blue</b>", f"{job}/0")


def test_jobs_that_follow_each_other_make_one_line_without_the_source_between(made: Made) -> None:
    first, second = made.first, made.second
    found = record(made, first, second)
    line = [f"{first}/0", f"{first}/2", f"{second}/1"]
    assert lines(found)[f"{second}/1"] == (line[:2], [])
    assert lines(found)[f"{first}/0"] == ([], [f"{first}/1", f"{first}/2", f"{second}/1"])
    assert f"kontext://images/{second}/0/meta" not in found
    told = texts(found)
    assert told[f"kontext://jobs/{second}"]["parent"] == f"{first}/2"
    assert [one.get("parent") for one in told[f"kontext://images/{second}/1/lineage"]["ancestors"]] == [None, line[0]]


def test_a_job_is_recorded_whatever_else_was_made_of_its_source(made: Made, tmp_path: Path) -> None:
    # A lineage tells 200 descendants, the oldest first.
    shutil.copytree(made.folder / "data", tmp_path / "data")
    add_siblings(tmp_path / "data", made.second, 250)
    crowded, alone = replace(made, folder=tmp_path), record(made, made.second)
    lineage = json.loads(read(crowded, f"kontext://images/{made.second}/0/lineage"))
    assert len(lineage["descendants"]) == 200 and lineage["more"]
    assert record(crowded, made.second) == alone


def test_a_plan_has_its_steps_jobs_and_their_images(made: Made) -> None:
    found, (warm, night) = record(made, made.plan), made.steps
    assert [uri for uri in found if uri.startswith("kontext://jobs/")] == [
        f"kontext://jobs/{job}" for job in (made.plan, warm, night)
    ]
    assert lines(found) == {
        f"{warm}/0": ([], [f"{warm}/1", f"{night}/1"]),
        f"{warm}/1": ([f"{warm}/0"], [f"{night}/1"]),
        f"{night}/1": ([f"{warm}/0", f"{warm}/1"], []),
    }


def test_a_picture_from_words_has_no_source(made: Made) -> None:
    assert lines(record(made, made.drawn)) == {f"{made.drawn}/1": ([], [])}


def test_nothing_of_the_persons_own_is_in_it(made: Made) -> None:
    found = record(made, made.first, made.second, made.plan, made.drawn)
    held = texts(found)
    assert not set(named(held)) & NOT_TO_SHARE
    text = json.dumps(held)
    # They do stand in what is read, so that their absence says something.
    whole = read(made, *held)
    assert CANARY in whole and '"sha256"' in whole and '"timeline"' in whole and '"request"' in whole
    for secret in (CANARY, str(made.folder), "photo.png", "/data/", "127.0.0.1", str(Path.home())):
        assert secret not in text


def test_a_job_that_is_not_there_is_told_by_who_is_asked(made: Made) -> None:
    with pytest.raises(NotFound):
        record(made, "nobody-4k7q")


def test_a_picture_that_was_changed_stops_it(made: Made) -> None:
    file = made.folder / "data" / "images" / f"{made.drawn}-1.png"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    try:
        with pytest.raises(ResultInvalid):
            record(made, made.drawn)
    finally:
        file.write_bytes(whole)

"""Who fills in a template or a prompt is offered their own jobs and pictures."""

from __future__ import annotations

from pathlib import Path

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_server.surface import completion
from kontext_server.surface.catalogue import TEMPLATES
from kontext_server.surface.completion import Candidate, matching
from kontext_server.surface.prompts import PROMPTS
from kontext_server.surface.server import make_server
from kontext_tools.edits import Edit
from kontext_tools.stores.sqlite import SqliteStore
from support.fake_clock import START
from support.rows import a_job, admit, an_output, claim_all
from support.stdio_server import ERAS

pytestmark = pytest.mark.anyio

NEWEST_FIRST = [
    Candidate(value="blue-car-0002", label="Ann's birthday"),
    Candidate(value="car-blue-0001"),
    Candidate(value="lake-0000", label="a CAR by the lake"),
]


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("", ["blue-car-0002", "car-blue-0001", "lake-0000"]),
        ("car", ["car-blue-0001", "blue-car-0002", "lake-0000"]),
        (" BLUE ", ["blue-car-0002", "car-blue-0001"]),
        ("birthday", ["blue-car-0002"]),
        ("boat", []),
    ],
)
def test_what_begins_so_comes_before_what_holds_it_each_newest_first(typed: str, values: list[str]) -> None:
    assert matching(NEWEST_FIRST, typed) == types.Completion(values=values, total=len(values), has_more=False)


def test_a_hundred_are_offered_and_the_rest_counted() -> None:
    found = matching([Candidate(value=f"car-{n:04}") for n in range(250)], "car")
    assert (len(found.values), found.total, found.has_more) == (100, 250, True)


def test_where_not_all_were_looked_through_no_total_is_told() -> None:
    found = matching([Candidate(value=f"car-{n:04}") for n in range(completion.AMONG)], "car-0001")
    assert found == types.Completion(values=["car-0001"], total=None, has_more=True)


async def _kept(folder: Path) -> None:
    store = SqliteStore(folder / "data" / "kontext.db")
    edit = Edit(prompt="a car", label="Summer", aspect_ratio="1:1")
    for job_id, owner in (("car-0001", LOCAL_OWNER), ("car-0002", "bob"), ("lake-0003", LOCAL_OWNER)):
        await admit(store, a_job(job_id, owner=owner, edit=edit))
        (taken,) = await claim_all(store, lease_until=START)
        outputs = [an_output(n, job_id=job_id) for n in (1, 2)]
        await store.save(taken.send, now=START, release=False, outputs=outputs)
    await admit(store, a_job("boat-0004", owner=LOCAL_OWNER))
    await store.close()


@pytest.mark.parametrize("era", ERAS)
async def test_templates_offer_jobs_and_prompts_offer_references_all_of_them_ones_own(tmp_path: Path, era: str) -> None:
    await _kept(tmp_path)
    app = build(load(kontext_data_dir=tmp_path / "data", kontext_preview="none"))
    offered: list[list[str]] = []
    with anyio.fail_after(30):
        async with Client(make_server(app), mode=era) as client:
            for template in TEMPLATES:
                ref = types.ResourceTemplateReference(type="ref/resource", uri=template.uri_template)
                offered.append((await client.complete(ref, {"name": "job", "value": "summer"})).completion.values)
            job = types.ResourceTemplateReference(type="ref/resource", uri="kontext://jobs/{job}")
            unfinished = (await client.complete(job, {"name": "job", "value": "boat"})).completion
            page = (await client.complete(job, {"name": "n", "value": "1"})).completion
            references: dict[str, list[str]] = {}
            for prompt in PROMPTS:
                for argument in prompt.arguments or ():
                    named = types.PromptReference(type="ref/prompt", name=prompt.name)
                    found = await client.complete(named, {"name": argument.name, "value": "car"})
                    references.setdefault(argument.name, []).extend(found.completion.values)
    assert {tuple(values) for values in offered} == {("lake-0003", "car-0001")}
    assert (unfinished.values, unfinished.total, unfinished.has_more) == (["boat-0004"], 1, False)
    assert page == types.Completion(values=[], total=0, has_more=False)
    assert set(references.pop("image")) == set(references.pop("ref")) == {"car-0001/1", "car-0001/2"}
    assert not any(references.values()), "free text is not completed"

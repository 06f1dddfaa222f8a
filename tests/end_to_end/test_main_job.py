"""The main job: a real photograph, several chained edits, in both protocol eras, no key and no network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from inline_snapshot import snapshot
from PIL import Image

from support.stdio_server import ERAS, PHOTOS, call, connected, fields_of, text_of

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")


def _masked(fields: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Give an answer with what changes from run to run masked: the id's tail, hashes, times, the folder."""
    job_id = fields["job_id"]
    text = json.dumps(fields).replace(job_id, job_id[:-4] + "****").replace(str(folder), "…")
    masked = json.loads(text)
    masked["seconds"] = 0
    for image in masked["images"]:
        image["bytes"] = image["seed"] = 0
    return masked


@pytest.mark.parametrize("era", ERAS)
async def test_three_chained_edits_of_a_photograph_each_start_from_the_one_before(tmp_path: Path, era: str) -> None:
    wishes = ("Make it a watercolour painting", "Make it warmer", 'Write "Hello" on it')
    with anyio.fail_after(60):
        async with connected(tmp_path, era=era) as client:
            image, depths, parents, fields = CAT, list[int](), list[str | None](), dict[str, Any]()
            for wish in wishes:
                fields = fields_of(await call(client, "edit_image", image=image, prompt=wish))
                depths.append(fields["depth"])
                parents.append(fields.get("parent"))
                image = fields["images"][0]["ref"]
            assert fields["status"] == "completed"
    assert depths == [1, 2, 3]
    assert parents[0] is None
    assert [parent is not None for parent in parents[1:]] == [True, True]


async def test_an_answer_holds_its_picture_its_facts_and_the_next_call(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with connected(tmp_path) as client:
            result = await call(client, "edit_image", image=CAT, prompt="Make it black and white", seed=7)
    fields = fields_of(result)
    kept = Path(fields["images"][0]["path"])
    beside = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
    assert _masked(fields, tmp_path) == snapshot(
        {
            "job_id": "black-white-****",
            "status": "completed",
            "provider": "sandbox",
            "images": [
                {
                    "ref": "black-white-****/1",
                    "uri": "kontext://images/black-white-****/1",
                    "width": 451,
                    "height": 300,
                    "media_type": "image/png",
                    "bytes": 0,
                    "seed": 0,
                    "path": "…/data/images/black-white-****-1.png",
                }
            ],
            "cost": {"amount": "0", "unit": "usd", "basis": "reported"},
            "seconds": 0,
            "depth": 1,
            "change": {"percent": 99.5, "where": "everywhere", "sharpness": 1.52},
            "warnings": ["Sandbox: no model was asked; simple pixel edits stand in for FLUX.1 Kontext."],
            "next": "To go on from it, call edit_image(image='black-white-****/1', prompt='…').",
        }
    )
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == beside["sha256"]
    assert kept.stat().st_size == fields["images"][0]["bytes"]
    assert len(text_of(result).splitlines()) <= 5
    for said in (fields["job_id"], "completed", "sandbox", str(kept), "451x300", "seed 7", fields["next"]):
        assert said in text_of(result)
    (picture,) = [block for block in result.content if isinstance(block, types.ImageContent)]
    with Image.open(io.BytesIO(base64.b64decode(picture.data)), formats=["JPEG"]) as preview:
        assert max(preview.size) == 451
    assert not result.is_error


@pytest.mark.parametrize("era", ERAS)
async def test_past_results_are_resources_whose_bytes_are_those_delivered(tmp_path: Path, era: str) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path, era=era) as client:
            fields = fields_of(await call(client, "generate_image", prompt="a red lake", aspect_ratio="16x9"))
            ref, path = fields["images"][0]["ref"], Path(fields["images"][0]["path"])
            listed = (await client.list_resources()).resources
            templates = (await client.list_resource_templates()).resource_templates
            whole = (await client.read_resource(f"kontext://images/{ref}")).contents[0]
            preview = (await client.read_resource(f"kontext://images/{ref}/preview")).contents[0]
            thumb = (await client.read_resource(f"kontext://images/{ref}/thumb")).contents[0]
            meta = (await client.read_resource(f"kontext://images/{ref}/meta")).contents[0]
            jobs = (await client.read_resource("kontext://jobs")).contents[0]
            job = (await client.read_resource(f"kontext://jobs/{fields['job_id']}")).contents[0]
    fixed = ["kontext://jobs", "kontext://usage", "kontext://providers", "kontext://guide", "ui://kontext/studio.html"]
    assert [resource.uri for resource in listed] == [*fixed, f"kontext://images/{ref}"]
    assert [template.uri_template for template in templates] == snapshot(
        [
            "kontext://images/{job}/{n}",
            "kontext://images/{job}/{n}/preview",
            "kontext://images/{job}/{n}/thumb",
            "kontext://images/{job}/{n}/meta",
            "kontext://images/{job}/{n}/lineage",
            "kontext://jobs/{job}",
        ]
    )
    assert isinstance(whole, types.BlobResourceContents)
    assert base64.b64decode(whole.blob) == path.read_bytes()
    assert isinstance(preview, types.BlobResourceContents)
    assert preview.mime_type == "image/jpeg"
    assert isinstance(thumb, types.BlobResourceContents)
    assert thumb.mime_type == "image/webp"
    assert isinstance(meta, types.TextResourceContents)
    assert json.loads(meta.text)["job"]["prompt"] == "a red lake"
    assert isinstance(jobs, types.TextResourceContents)
    assert [entry["job_id"] for entry in json.loads(jobs.text)["jobs"]] == [fields["job_id"]]
    assert isinstance(job, types.TextResourceContents)
    assert json.loads(job.text)["sent_prompt"] == "a red lake"


async def test_the_source_as_it_was_sent_is_image_zero_and_can_be_edited_again(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            first = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it sepia"))
            source = (await client.read_resource(f"kontext://images/{first['job_id']}/0")).contents[0]
            again = fields_of(await call(client, "edit_image", image=f"{first['job_id']}/0", prompt="Mirror it"))
    assert isinstance(source, types.BlobResourceContents)
    with Image.open(io.BytesIO(base64.b64decode(source.blob)), formats=["PNG"]) as image:
        assert image.size == (451, 300)
    assert again["depth"] == 1
    assert "parent" not in again


async def test_a_path_of_an_own_result_is_read_as_its_reference(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            first = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it sepia"))
            path = first["images"][0]["path"]
            second = fields_of(await call(client, "edit_image", image=f"`{path}`", prompt="Mirror it"))
    assert second["parent"] == first["images"][0]["ref"]


async def test_a_result_changed_by_hand_is_reported_and_never_served(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            first = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it sepia"))
            path = Path(first["images"][0]["path"])
            path.write_bytes(path.read_bytes()[:-1] + b"!")
            refused = await call(client, "edit_image", image=first["images"][0]["ref"], prompt="Mirror it")
            with pytest.raises(Exception, match="changed since it was written"):
                await client.read_resource(first["images"][0]["uri"])
    assert fields_of(refused)["error"]["code"] == "result_invalid"


async def test_four_images_come_with_seeds_that_follow_and_one_contact_sheet(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            result = await call(client, "edit_image", image=CAT, prompt="Make it a cartoon", num_images="4", seed=10)
            bare = await call(client, "edit_image", image=fields_of(result)["job_id"], prompt="Mirror it")
    fields = fields_of(result)
    assert [image["seed"] for image in fields["images"]] == [10, 11, 12, 13]
    assert len([block for block in result.content if isinstance(block, types.ImageContent)]) == 1
    assert fields_of(bare)["error"]["code"] == "unknown_ref"
    assert all(image["ref"] in fields_of(bare)["error"]["fix"] for image in fields["images"])


async def test_a_dry_run_checks_and_prices_and_makes_no_job(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            dry = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it sepia", dry_run="true"))
            jobs = (await client.read_resource("kontext://jobs")).contents[0]
    assert dry == snapshot(
        {
            "dry_run": True,
            "provider": "sandbox",
            "request": {
                "model": "sandbox",
                "prompt": "Make it sepia",
                "aspect_ratio": "match_input_image",
                "output_format": "png",
                "safety_tolerance": 2,
                "prompt_upsampling": False,
                "input_image": "source.png",
            },
            "cost": {"amount": "0", "unit": "usd", "basis": "reported"},
            "warnings": ["Sandbox: no model was asked; simple pixel edits stand in for FLUX.1 Kontext."],
            "budget_left": {},
            "next": "Call again with dry_run=false to do it.",
        }
    )
    assert isinstance(jobs, types.TextResourceContents)
    assert json.loads(jobs.text) == {"jobs": []}


async def test_progress_is_told_while_the_call_waits(tmp_path: Path) -> None:
    heard: list[tuple[float, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert total is not None
        heard.append((progress, message))

    with anyio.fail_after(30):
        async with connected(tmp_path) as client:
            arguments = {"image": CAT, "prompt": "Make it sepia"}
            await client.call_tool("edit_image", arguments, progress_callback=on_progress)
    assert {"pending at sandbox", "processing at sandbox"} <= {message for _, message in heard}


async def test_a_running_job_answers_at_once_and_is_cancelled_for_good(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with connected(tmp_path) as client:
            running = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it sepia", wait_seconds=0))
            cancelled = fields_of(await call(client, "cancel_job", job_id=running["job_id"]))
            again = fields_of(await call(client, "cancel_job", job_id=running["job_id"]))
            status = await call(client, "get_status", job_id=running["job_id"], wait_seconds=5)
    assert running["status"] in ("pending", "processing")
    assert running["next"] == f"Call get_status(job_id='{running['job_id']}', wait_seconds=25)."
    assert running["eta_seconds"] >= 1
    assert (cancelled["outcome"], again["outcome"]) == ("cancelled", "already_ended")
    assert not status.is_error
    assert fields_of(status)["error"]["code"] == "cancelled"
    assert fields_of(status)["status"] == "cancelled"

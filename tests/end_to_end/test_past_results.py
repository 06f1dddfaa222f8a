"""Past results through real clients, in both protocol eras: found, looked at, traced, and paged through."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import anyio
import mcp_types as types
import pytest
from dirty_equals import IsStr
from inline_snapshot import snapshot
from mcp.client import Client
from PIL import Image

from support.stdio_server import ERAS, PHOTOS, call, connected, fields_of, text_of

pytestmark = pytest.mark.anyio

CAT = str(PHOTOS / "chelsea.png")
LIMIT_BYTES = 700_000


async def edited(client: Client, image: str, prompt: str, **arguments: Any) -> str:
    """Edit, and give the reference of what came."""
    fields = fields_of(await call(client, "edit_image", image=image, prompt=prompt, **arguments))
    ref: str = fields["images"][0]["ref"]
    return ref


def pictures_of(result: types.CallToolResult) -> list[Image.Image]:
    """Give the pictures of an answer, which are all JPEG."""
    blocks = [block for block in result.content if isinstance(block, types.ImageContent)]
    assert {block.mime_type for block in blocks} <= {"image/jpeg"}
    return [Image.open(io.BytesIO(base64.b64decode(block.data)), formats=["JPEG"]) for block in blocks]


def masked(fields: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    """Give an answer with what changes from run to run masked: two jobs' ids, and times."""
    text = json.dumps(fields).replace(first.partition("/")[0], "FIRST").replace(second.partition("/")[0], "SECOND")
    plain: dict[str, Any] = json.loads(re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "WHEN", text))
    return plain


def text_says_all(result: types.CallToolResult, *, lines: int) -> bool:
    """Whether the text alone names every image and the next call, in so many lines."""
    text, fields = text_of(result), fields_of(result)
    return len(text.splitlines()) == lines and all(
        said in text for said in (*(image["ref"] for image in fields["images"]), fields["next"])
    )


@pytest.mark.parametrize("era", ERAS)
async def test_earlier_images_are_found_looked_at_and_traced(tmp_path: Path, era: str) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path, era=era) as client:
            first = await edited(client, CAT, "Make the cat a watercolour", label="the cat")
            second = await edited(client, first, "Make it darker", keep="the whiskers")
            found = await call(client, "find_images", query="whisker", since="today")
            every = await call(client, "find_images")
            children = fields_of(await call(client, "find_images", derived_from=first))
            shown = await call(client, "view_images", refs=[second, f"{first.partition('/')[0]}/0"], size="large")
            lineage = (await client.read_resource(f"kontext://images/{first}/lineage")).contents[0]
            fixed = (await client.read_resource(f"kontext://images/{second}/lineage")).contents[0]
    assert masked(fields_of(found), first, second) == snapshot(
        {
            "images": [
                {
                    "ref": "SECOND/1",
                    "uri": "kontext://images/SECOND/1",
                    "label": "",
                    "prompt": "Make it darker",
                    "created_at": "WHEN+00:00",
                    "provider": "sandbox",
                    "width": 451,
                    "height": 300,
                    "parent": "FIRST/1",
                }
            ],
            "next": "To go on from one, call edit_image(image='SECOND/1', prompt='…'); to see them, "
            "view_images(refs=['SECOND/1']).",
        }
    )
    assert text_says_all(found, lines=3) and not found.is_error
    assert [image["ref"] for image in fields_of(every)["images"]] == [second, first]
    assert fields_of(every)["images"][1]["label"] == "the cat"
    assert "next_cursor" not in fields_of(every)
    assert [image["ref"] for image in children["images"]] == [second]
    said = fields_of(shown)
    assert (said["warnings"], [image["ref"] for image in said["images"]]) == ([], [second, first[:-2] + "/0"])
    assert set(said["images"][0]) == {"ref", "uri", "width", "height", "media_type", "bytes", "path"}
    assert all(Path(image["path"]).stat().st_size == image["bytes"] for image in said["images"])
    assert [picture.size for picture in pictures_of(shown)] == [(451, 300), (451, 300)]
    assert text_says_all(shown, lines=4)
    assert isinstance(lineage, types.TextResourceContents) and isinstance(fixed, types.TextResourceContents)
    assert masked(json.loads(lineage.text), first, second) == snapshot(
        {
            "ref": "FIRST/1",
            "uri": "kontext://images/FIRST/1",
            "ancestors": [{"ref": "FIRST/0", "uri": "kontext://images/FIRST/0", "created_at": "WHEN+00:00"}],
            "descendants": [
                {
                    "ref": "SECOND/1",
                    "uri": "kontext://images/SECOND/1",
                    "prompt": "Make it darker",
                    "created_at": "WHEN+00:00",
                    "parent": "FIRST/1",
                }
            ],
        }
    )
    assert [one["ref"] for one in json.loads(fixed.text)["ancestors"]] == [first[:-2] + "/0", first]


async def test_pages_lead_through_all_images_by_following_what_an_answer_says(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            made = fields_of(await call(client, "generate_image", prompt="a red lake", num_images=4))
            seen: list[str] = []
            page = fields_of(await call(client, "find_images", query="lakes", limit="3"))
            seen += [image["ref"] for image in page["images"]]
            following = re.search(r"find_images\(query='lakes', cursor='([^']+)'\)", page["next"])
            assert following is not None and following[1] == page["next_cursor"]
            await call(client, "generate_image", prompt="a blue lake")
            page = fields_of(await call(client, "find_images", query="lakes", cursor=following[1]))
            seen += [image["ref"] for image in page["images"]]
            resources = await client.list_resources()
            with pytest.raises(Exception, match="not one of this list"):
                await client.list_resources(cursor=following[1])
    assert sorted(seen) == sorted(image["ref"] for image in made["images"])
    assert "next_cursor" not in page
    assert len([one for one in resources.resources if one.uri.startswith("kontext://images/")]) == 5


async def test_each_slip_is_answered_with_what_makes_the_next_call_pass(tmp_path: Path) -> None:
    slips: list[tuple[str, dict[str, Any], str, str]] = [
        ("find_images", {"since": "last summer"}, "invalid_argument", r"since='(?P<since>7d)'"),
        ("find_images", {"cursor": "abc"}, "invalid_argument", r"without cursor()"),
        ("find_images", {"derived_from": "lake-0000/1"}, "unknown_ref", r"nearest: (?P<derived_from>[\w-]+/\d)"),
        ("find_images", {"limit": 51}, "invalid_argument", r"limit=(?P<limit>50)"),
        ("find_images", {"querry": "lake"}, "invalid_argument", r"with (query) instead"),
        ("view_images", {"refs": "lake-0000/1"}, "unknown_ref", r"nearest: (?P<refs>[\w-]+/\d)"),
        ("view_images", {"refs": "REF", "size": "tiny"}, "invalid_argument", r"size='(?P<size>\w+)'"),
    ]
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            ref = fields_of(await call(client, "generate_image", prompt="a red lake"))["images"][0]["ref"]
            for tool, arguments, code, fix in slips:
                sent = {name: ref if value == "REF" else value for name, value in arguments.items()}
                refused = await call(client, tool, **sent)
                error = fields_of(refused)["error"]
                assert refused.is_error and (error["code"], error["billed"]) == (code, "no"), error
                mended = re.search(fix, error["fix"])
                assert mended is not None, error
                base = {"refs": ref} if tool == "view_images" else {}
                answer = await call(client, tool, **(base | mended.groupdict()))
                assert not answer.is_error, text_of(answer)


async def test_four_pictures_of_noise_share_one_answer_softer_and_that_is_told(tmp_path: Path) -> None:
    noise = Image.frombytes("RGB", (1100, 1100), Random(7).randbytes(3 * 1100 * 1100))
    folder = tmp_path / "pictures"
    folder.mkdir()
    noise.save(folder / "noise.png")
    with anyio.fail_after(90):
        async with connected(tmp_path, {"KONTEXT_IMAGE_ROOTS": str(folder)}) as client:
            ref = await edited(client, str(folder / "noise.png"), "Make it red")
            source = f"{ref.partition('/')[0]}/0"
            one = await call(client, "view_images", refs=source, size="large")
            four = await call(client, "view_images", refs=[source] * 4, size="large")
    for answer, count in ((one, 1), (four, 4)):
        assert len(pictures_of(answer)) == count
        assert len(answer.model_dump_json()) < LIMIT_BYTES
    assert fields_of(four)["warnings"] == [IsStr(regex="Shown at JPEG quality .*")]
    assert text_says_all(four, lines=6)


async def test_a_result_whose_file_was_removed_is_refused_and_the_others_are_named(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path) as client:
            lake, tree = [
                fields_of(await call(client, "generate_image", prompt=prompt))["images"][0]
                for prompt in ("a lake", "a tree")
            ]
            Path(tree["path"]).unlink()
            refused = await call(client, "view_images", refs=[lake["ref"], tree["ref"]])
            error = fields_of(refused)["error"]
            assert refused.is_error and error["code"] == "result_invalid"
            assert error["fix"] == f"Call again with refs=['{lake['ref']}']."
            assert len(pictures_of(await call(client, "view_images", refs=[lake["ref"]]))) == 1


async def test_both_only_read_and_say_so(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with connected(tmp_path) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    for name in ("find_images", "view_images"):
        hints = tools[name].annotations
        assert hints is not None
        assert hints.model_dump(exclude_none=True) == {
            "read_only_hint": True,
            "destructive_hint": False,
            "idempotent_hint": True,
            "open_world_hint": False,
        }
    assert tools["find_images"].input_schema == snapshot(
        {
            "properties": {
                "query": {"type": "string", "description": "Words of its prompt, label or keep."},
                "since": {"type": "string", "description": "today, yesterday, 12h, 7d, 2w or an ISO date."},
                "derived_from": {"type": "string", "description": "A reference: only what was made from it."},
                "limit": {
                    "type": "integer",
                    "description": "At most so many.",
                    "minimum": 1,
                    "maximum": 50,
                    "default": 10,
                },
                "cursor": {"type": "string", "description": "next_cursor of the answer before."},
            },
            "type": "object",
        }
    )
    assert tools["view_images"].input_schema == snapshot(
        {
            "properties": {
                "refs": {
                    "type": "array",
                    "description": "References such as red-car-4k7q/1; /0 is the source.",
                    "items": {"type": "string"},
                    "maxItems": 4,
                },
                "size": {
                    "type": "string",
                    "description": "Longest side: 512 or 1024 px.",
                    "enum": ["small", "large"],
                    "default": "small",
                },
            },
            "required": ["refs"],
            "type": "object",
        }
    )


@pytest.mark.parametrize("era", ERAS)
async def test_the_meta_of_a_source_says_what_that_of_a_result_says(tmp_path: Path, era: str) -> None:
    with anyio.fail_after(60):
        async with connected(tmp_path, {"KONTEXT_PREVIEW": "none"}, era=era) as client:
            job_id = (await edited(client, CAT, "Make the cat teal")).partition("/")[0]
            metas: list[dict[str, Any]] = []
            for n in (0, 1):
                read = await client.read_resource(f"kontext://images/{job_id}/{n}/meta")
                assert isinstance(read.contents[0], types.TextResourceContents)
                metas.append(json.loads(read.contents[0].text))
            source, result = metas
            looked = await call(client, "view_images", refs=[f"{job_id}/0"])
    assert {name: source[name] for name in source if name != "job"} == fields_of(looked)["images"][0]
    assert (source["job"], source.keys()) == (result["job"], result.keys() - {"seed"})


async def test_an_answer_stays_small_where_words_are_as_long_as_they_may_be(tmp_path: Path) -> None:
    noise = Image.frombytes("RGB", (1200, 1200), Random(1).randbytes(1200 * 1200 * 3))
    noise.save(tmp_path / "noise.png")
    settings = {"KONTEXT_IMAGE_ROOTS": str(tmp_path), "KONTEXT_PREVIEW": "large"}
    words = {"prompt": "\N{RAINBOW}" * 20_000, "keep": "\N{CAT}" * 20_000}
    with anyio.fail_after(60):
        async with connected(tmp_path, settings) as client:
            done = await call(client, "edit_image", image=str(tmp_path / "noise.png"), **words)
            full = await call(client, "get_status", job_id=fields_of(done)["job_id"], detail="full")
    assert (fields_of(full)["prompt"], fields_of(full)["keep"]) == (words["prompt"], words["keep"])
    assert fields_of(full)["sent_prompt"] in text_of(full)
    for answer in (done, full):
        assert len(answer.model_dump_json(by_alias=True, exclude_none=True).encode()) < LIMIT_BYTES
    assert len(pictures_of(done)) == 1

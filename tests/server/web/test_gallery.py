"""What the web gallery serves, and to whom; the routes as ASGI, the whole of it in tests/end_to_end."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from inline_snapshot import snapshot
from starlette.applications import Starlette
from starlette.types import ASGIApp

from kontext_server.app import LOCAL_OWNER, App, build
from kontext_server.settings import load
from kontext_server.surface import studio_page
from kontext_server.surface.resources import Content, Resources
from kontext_server.web.door import Door
from kontext_server.web.gallery import routes, within_walls
from kontext_tools import prints
from kontext_tools.edits import Edit
from kontext_tools.errors import InvalidArgument, KontextError, StorageBusy
from kontext_tools.images import read_facts
from kontext_tools.views import Call, View
from support.stdio_server import PHOTOS

pytestmark = pytest.mark.anyio

HERE = "http://127.0.0.1:4321"
COOKIE = "kontext-gallery-4321"
WALLS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
LEADS_ON = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0;url=/">
<title>kontext gallery</title>
<p><a href="/">Go on to the gallery</a></p>
</html>
"""
NO_STORE = {"cache-control": "no-store"}
NOWHERE = (
    "file:///etc/passwd",
    "/etc/passwd",
    "ui://kontext/studio.html",
    "http://127.0.0.1/",
    "https://example.com/x",
)
NOT_OURS = (
    "",
    "kontext://images/red-car-4k7q",
    "kontext://images/red-car-4k7q/1",
    "kontext://images/red-car-4k7q/1/meta",
    "kontext://jobs/red-car-4k7q",
    "kontext://images/../../etc/passwd",
    "kontext://images/%2e%2e/1",
    "kontext://images/..%2f..%2fkontext.db/1",
)


def an_app(folder: Path) -> App:
    return build(load(kontext_data_dir=folder / "data", kontext_provider=("sandbox",)), any_file=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with one edit in it, and its job."""
    folder = tmp_path_factory.mktemp("made")

    async def edited() -> str:
        app = an_app(folder)
        async with app.running():
            call = Call(owner=LOCAL_OWNER, wait_s=30)
            view = await app.studio.edit_image(Edit(prompt="Make it sepia", image=str(PHOTOS / "chelsea.png")), call)
        assert isinstance(view, View)
        return view.job.id

    return folder, anyio.run(edited)


@asynccontextmanager
async def asked(app: ASGIApp) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=HERE) as client:
        with anyio.fail_after(30):
            yield client


@asynccontextmanager
async def reading(folder: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    """Give a client of the routes, behind the walls and no door."""
    app = an_app(folder)
    async with app.running(), asked(within_walls(Starlette(routes=routes(Resources(app))))) as client:
        yield client


async def read(client: httpx2.AsyncClient, uri: str, **headers: str) -> httpx2.Response:
    return await client.get(
        "/read", params={"uri": uri}, headers={name.replace("_", "-"): headers[name] for name in headers}
    )


def told(response: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name != "content-length"}


async def test_an_image_as_delivered_has_a_name_and_stays_in_the_browser(made: tuple[Path, str]) -> None:
    folder, job = made
    kept = (folder / "data" / "images" / f"{job}-1.png").read_bytes()
    tag = f'"{hashlib.sha256(kept).hexdigest()}-delivered"'
    forever = {"cache-control": "private, max-age=31536000, immutable", "etag": tag}
    async with reading(folder) as client:
        whole = await read(client, f"kontext://images/{job}/1")
        had = [
            await read(client, f"kontext://images/{job}/1", if_none_match=given)
            for given in (tag, f"W/{tag}", f'"other", {tag}')
        ]
        other = await read(client, f"kontext://images/{job}/1", if_none_match='"other"')
        source = await read(client, f"kontext://images/{job}/0")
    assert whole.content == kept and other.content == kept
    assert told(whole) == WALLS | forever | {
        "content-type": "image/png",
        "content-disposition": f'inline; filename="{job}-1.png"',
    }
    assert [(each.status_code, each.content, told(each)) for each in had] == [(304, b"", WALLS | forever)] * 3
    assert source.headers["content-disposition"] == f'inline; filename="{job}-0.png"'
    assert read_facts(source.content).width == 451


@pytest.mark.parametrize(
    ("form", "media_type", "longest"), [("preview", "image/jpeg", 451), ("thumb", "image/webp", 256)]
)
async def test_a_smaller_form_has_a_tag_of_its_own_and_no_name(
    made: tuple[Path, str], form: str, media_type: str, longest: int
) -> None:
    folder, job = made
    async with reading(folder) as client:
        delivered = await read(client, f"kontext://images/{job}/1")
        small = await read(client, f"kontext://images/{job}/1/{form}")
    assert "content-disposition" not in small.headers
    assert small.headers["content-type"] == media_type
    assert small.headers["etag"] == delivered.headers["etag"].replace("-delivered", f"-{form}")
    facts = read_facts(small.content)
    assert (facts.media_type, max(facts.width, facts.height)) == (media_type, longest)


async def test_a_picture_that_the_browser_has_is_neither_read_nor_computed(
    made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, job = made
    async with reading(folder) as client:
        tags = {
            form: (await read(client, f"kontext://images/{job}/1{form}")).headers["etag"] for form in ("", "/preview")
        }

        def never(*_: Any) -> bytes:
            raise AssertionError

        monkeypatch.setattr(prints, "preview", never)
        monkeypatch.setattr(Resources, "content", never)
        had = [await read(client, f"kontext://images/{job}/1{form}", if_none_match=tag) for form, tag in tags.items()]
    assert [each.status_code for each in had] == [304, 304]


async def test_json_is_as_the_resource_has_it_and_is_never_kept(made: tuple[Path, str]) -> None:
    folder, job = made
    uris = ("kontext://jobs", f"kontext://jobs/{job}", "kontext://usage", f"kontext://images/{job}/1/meta")
    async with reading(folder) as client:
        answers = [await read(client, uri) for uri in (*uris, f"kontext://images/{job}/1/lineage")]
        guide = await read(client, "kontext://guide")
    assert [told(each) for each in answers] == [WALLS | NO_STORE | {"content-type": "application/json"}] * 5
    assert answers[-1].json()["ancestors"][0]["ref"] == f"{job}/0"
    # The same words as over MCP, byte for byte.
    resources = Resources(an_app(folder))
    async with resources._app.running():  # pyright: ignore[reportPrivateUsage]
        assert (await resources.content(f"kontext://images/{job}/1/meta")).data == answers[3].text
    assert guide.headers["content-type"] == "text/markdown; charset=utf-8"


@pytest.mark.parametrize("uri", [*NOWHERE, *NOT_OURS])
async def test_what_is_none_of_our_resources_is_not_there(made: tuple[Path, str], uri: str) -> None:
    async with reading(made[0]) as client:
        answer = await read(client, uri)
    assert (answer.status_code, told(answer)) == (404, WALLS | NO_STORE | {"content-type": "application/json"})
    (sentence,) = answer.json().values()
    assert list(answer.json()) == ["error"] and sentence.endswith((".", "sent.")) and "\n" not in sentence
    assert not uri or uri not in sentence


async def test_no_address_at_all_is_not_there_either(made: tuple[Path, str]) -> None:
    async with reading(made[0]) as client:
        answer = await client.get("/read")
        elsewhere = [await client.get(path) for path in ("/favicon.ico", "/read/x", "/assets/studio.html", "/..%2f")]
    assert answer.status_code == 404
    assert [(each.status_code, told(each)) for each in elsewhere] == [
        (404, WALLS | {"content-type": "text/plain; charset=utf-8"})
    ] * 4


@pytest.mark.parametrize("how", ["changed", "removed"])
async def test_a_file_that_was_changed_or_removed_is_told_and_not_served(
    made: tuple[Path, str], tmp_path: Path, how: str
) -> None:
    folder, job = made
    shutil.copytree(folder / "data", tmp_path / "data")
    file = tmp_path / "data" / "images" / f"{job}-1.png"
    file.write_bytes(b"other") if how == "changed" else file.unlink()
    async with reading(tmp_path) as client:
        answers = [
            await read(client, f"kontext://images/{job}/1{form}") for form in ("", "/preview", "/thumb", "/meta")
        ]
    sentence = f"The kept file was {how} since it was written, so it is not served."
    assert [(each.status_code, each.json()) for each in answers] == [(409, {"error": sentence})] * 4
    assert all(each.headers["cache-control"] == "no-store" and "etag" not in each.headers for each in answers)


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (StorageBusy("The database is held by another process.", fix="Wait."), 503),
        (InvalidArgument("That is no time.", fix="Write 7d."), 400),
    ],
)
async def test_a_store_in_trouble_and_a_search_that_cannot_be_read_are_told_as_such(
    made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, failure: KontextError, status: int
) -> None:
    async def failing(*_: Any) -> Content:
        raise failure

    monkeypatch.setattr(Resources, "content", failing)
    async with reading(made[0]) as client:
        answer = await read(client, "kontext://usage")
    assert (answer.status_code, answer.json()) == (status, {"error": failure.failure.message})


async def test_the_page_is_the_gallerys_with_its_own_policy(made: tuple[Path, str]) -> None:
    page = studio_page.gallery()
    async with reading(made[0]) as client:
        answer, head = await client.get("/"), await client.head("/")
    assert answer.text == page.html
    own = {"content-security-policy": page.policy, "content-type": "text/html; charset=utf-8"}
    assert told(answer) == told(head) == WALLS | NO_STORE | own


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nothing_but_reading_is_served(made: tuple[Path, str], method: str) -> None:
    async with reading(made[0]) as client:
        refused = [await client.request(method, path) for path in ("/", "/read?uri=kontext://usage")]
    assert [each.status_code for each in refused] == [405, 405]
    assert {each.headers["allow"] for each in refused} <= {"GET, HEAD", "HEAD, GET"}
    assert not [name for each in refused for name in each.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:4321"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:4321"}, 200),
        ({"Origin": HERE}, 200),
    ],
)
async def test_only_by_this_machines_names_and_from_its_pages(
    made: tuple[Path, str], headers: dict[str, str], status: int
) -> None:
    async with reading(made[0]) as client:
        answer = await client.get("/read", params={"uri": "kontext://usage"}, headers=headers)
    assert answer.status_code == status
    assert WALLS.items() <= told(answer).items()
    assert "access-control-allow-origin" not in answer.headers


async def behind(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


async def test_an_address_opens_once_and_its_browser_stays_in() -> None:
    entered = list[str]()
    door = Door(behind, cookie=COOKIE, entered=lambda: entered.append("once"))
    async with asked(door) as one, asked(door) as two:
        shut = [await one.get("/"), await one.get("/read?uri=kontext://usage"), await one.post("/")]
        assert entered == []
        opened = await one.get(door.address)
        inside = [await one.get("/"), await one.get("/read"), await one.post("/")]
        again, other = await one.get(door.address), await two.get(door.address)
        outside = await two.get("/")
    assert [each.status_code for each in shut] == [401] * 3
    assert "kontext gallery" in shut[0].text and shut[0].headers["content-type"] == "text/html; charset=utf-8"
    assert (opened.status_code, opened.text, opened.headers["cache-control"]) == (200, LEADS_ON, "no-store")
    assert entered == ["once"]
    name, _, attributes = opened.headers["set-cookie"].partition("=")
    value, *rest = attributes.split("; ")
    assert (name, sorted(rest)) == (COOKIE, ["HttpOnly", "Path=/", "SameSite=strict"])
    assert len(value) >= 43 and value not in door.address
    assert [each.text for each in inside] == ["inside"] * 3
    # The good cookie with the address once more: just home, and no new cookie.
    assert (again.status_code, again.text, "set-cookie" in again.headers) == (200, LEADS_ON, False)
    assert (other.status_code, other.text, "set-cookie" in other.headers) == (401, shut[0].text, False)
    assert outside.status_code == 401


@pytest.mark.parametrize("token", ["", "x", "猫", "%ff", "%00"])
async def test_a_wrong_token_opens_nothing_and_burns_nothing(token: str) -> None:
    door = Door(behind, cookie=COOKIE)
    async with asked(door) as client:
        wrong = [await client.get(f"/?token={token}"), await client.get(f"/{door.address[:-1]}")]
        elsewhere = await client.get(f"/read{door.address[1:]}")
        head = await client.head(door.address)
        right = await client.get(door.address)
    assert [each.status_code for each in (*wrong, elsewhere, head)] == [401] * 4
    assert (right.status_code, right.text) == (200, LEADS_ON)


@pytest.mark.parametrize("cookies", [{COOKIE: ""}, {COOKIE: "x"}, {"kontext-gallery-1": "x"}])
async def test_a_wrong_cookie_opens_nothing(cookies: dict[str, str]) -> None:
    door = Door(behind, cookie=COOKIE)
    async with asked(door) as client:
        client.cookies.update(cookies)
        assert (await client.get("/")).status_code == 401


def test_two_doors_have_nothing_in_common() -> None:
    doors = [Door(behind, cookie=COOKIE) for _ in range(2)]
    assert doors[0].address != doors[1].address


async def test_the_closed_door_says_what_to_do() -> None:
    async with asked(Door(behind, cookie=COOKIE)) as client:
        text = (await client.get("/?token=used")).text
    assert text == snapshot("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>kontext gallery</title>
<h1>This gallery is closed here</h1>
<p>Open the address that <code>kontext gallery</code> printed. It opens once, in one browser: for another, end that
command and start it again.</p>
</html>
""")

"""RELIABILITY.md T03, T06, A01: the gallery and the studio show whoever signed in their own pictures and no others."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from mcp.client.extension import advertise

from kontext_server.surface.limits import MISS
from support.hosted import Hosted
from support.http_server import client_of
from support.stdio_server import ERAS, call, fields_of, text_of

pytestmark = pytest.mark.anyio

PAGES = [advertise("io.modelcontextprotocol/ui", {"mimeTypes": ["text/html;profile=mcp-app"]})]

WALLS = {
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


async def _made(hosted: Hosted, subject: str) -> tuple[str, str]:
    """Make a picture of somebody's; give its reference, and the link to their gallery."""
    async with hosted.client(subject) as client:
        made = fields_of(await call(client, "generate_image", prompt=f"a lake of {subject}'s", wait_seconds=50))
        found = await call(client, "find_images")
    link = fields_of(found)["gallery_url"]
    assert link in text_of(found).splitlines()[0]
    return made["images"][0]["ref"], link


def _enter(http: httpx2.AsyncClient, hosted: Hosted, link: str, **headers: str) -> Any:
    ticket = link.partition("?ticket=")[2]
    return http.post("/gallery/enter", data={"ticket": ticket}, headers={"Origin": hosted.server.base, **headers})


def _read(http: httpx2.AsyncClient, uri: str, **headers: str) -> Any:
    return http.get("/gallery/read", params={"uri": uri}, headers=headers)


async def test_T03_a_link_opens_the_gallery_of_its_owner_once_and_shows_no_picture_of_anothers(hosted: Hosted) -> None:
    (mine, link), (hers, _) = await _made(hosted, "paul"), await _made(hosted, "rosa")
    assert link.startswith(f"{hosted.server.base}/gallery/enter?ticket=") and "paul" not in link
    async with client_of(hosted.server) as browser, client_of(hosted.server) as other:
        looked_at = [await browser.head(link), await browser.get(link), await browser.get(link)]
        assert "set-cookie" not in looked_at[1].headers
        entered = await _enter(browser, hosted, link)
        again, elsewhere = await _enter(browser, hosted, link), await _enter(other, hosted, link)
        page = await browser.get("/gallery/")
        picture = await _read(browser, f"kontext://images/{mine}")
        jobs = await _read(browser, "kontext://jobs")
        refused = [
            await _read(browser, f"kontext://images/{ref}{form}")
            for ref in (hers, "zzzz-zzzz-0000/1")
            for form in ("", "/meta", "/thumb", "/preview", "/lineage")
        ]
        foreign = [
            await browser.get("/gallery/", headers={"Host": "evil.example"}),
            await _enter(other, hosted, link, Origin="http://evil.example"),
            await _enter(other, hosted, link, Origin="null"),
        ]
        outside = [await other.get("/gallery/"), await _read(other, "kontext://jobs")]
    assert [one.status_code for one in looked_at] == [200] * 3
    assert (entered.status_code, again.status_code, elsewhere.status_code) == (200, 401, 401)
    told = r"kontext-gallery=[\w.-]+; HttpOnly; Path=/gallery; SameSite=strict"
    cookie = re.fullmatch(told, entered.headers["set-cookie"])
    assert cookie and "set-cookie" not in again.headers and "set-cookie" not in elsewhere.headers
    assert page.status_code == 200 and "connect-src 'self'" in page.headers["content-security-policy"]
    assert picture.headers["content-type"] == "image/png" and picture.content.startswith(b"\x89PNG")
    assert mine.partition("/")[0] in jobs.text and hers.partition("/")[0] not in jobs.text
    assert {one.status_code for one in refused} == {404} and len({one.text for one in refused}) <= 2
    assert [one.status_code for one in foreign] == [421, 403, 403]
    assert [one.status_code for one in outside] == [401, 401]
    for answer in (*looked_at, entered, again, page, picture, jobs, *outside):
        assert WALLS.items() <= dict(answer.headers).items()


async def test_A01_the_gallery_takes_a_token_too_and_no_bad_one(hosted: Hosted) -> None:
    ref, _ = await _made(hosted, "sven")
    got: dict[str, int] = {}
    async with client_of(hosted.server) as http:
        for name, token in {
            "his": hosted.issuer.token("sven"),
            "another's": hosted.issuer.token("tess"),
            "expired": hosted.issuer.token("sven", exp=1),
        }.items():
            answer = await _read(http, f"kontext://images/{ref}", authorization=f"Bearer {token}")
            got[name] = answer.status_code
        lacking = hosted.issuer.token("sven", scope="images:edit admin:budget")
        refused = await http.get("/gallery/", headers={"Authorization": f"Bearer {lacking}"})
    assert got == {"his": 200, "another's": 404, "expired": 401}
    assert (refused.status_code, refused.headers["www-authenticate"]) == (
        403,
        f'Bearer error="insufficient_scope", scope="images:read", resource_metadata="{hosted.metadata}"',
    )


@pytest.mark.parametrize("ticket", ["", "x", "a.b.c.d", "%00", "猫", "a" * 3000])
async def test_A01_no_made_up_ticket_or_cookie_opens_anything(hosted: Hosted, ticket: str) -> None:
    async with client_of(hosted.server) as http:
        shut = [
            await http.get("/gallery/enter", params={"ticket": ticket}),
            await http.post("/gallery/enter", data={"ticket": ticket}),
            await http.post("/gallery/enter", content=ticket.encode()),
            await http.get("/gallery/enter"),
        ]
        cookie = [(b"cookie", f"kontext-gallery={ticket}".encode())]
        page = await http.get("/gallery/", headers=cookie)
        read = await http.get("/gallery/read", params={"uri": "kontext://jobs"}, headers=cookie)
        big = await http.post("/gallery/enter", content=b"ticket=" + b"x" * 5000)
    assert [one.status_code for one in shut] == [401] * 4
    assert (page.status_code, read.status_code) == (403, 403)
    # The page that is still open when its cookie's time is over shows these words.
    assert read.json()["error"].startswith("This gallery is closed here: ask your assistant")
    assert big.status_code == 413


async def test_T06_who_guesses_pictures_in_the_gallery_is_held_back(hosted: Hosted) -> None:
    bearer = f"Bearer {hosted.issuer.token('ugo')}"
    async with client_of(hosted.server) as http:
        answers = [
            await _read(http, f"kontext://images/red-car-{n:04}/1", authorization=bearer) for n in range(MISS.burst + 2)
        ]
    assert [one.status_code for one in answers][: MISS.burst] == [404] * MISS.burst
    limited = next(one for one in answers if one.status_code == 429)
    assert limited.headers["retry-after"] in ("1", "2")


@pytest.mark.parametrize("era", ERAS)
async def test_T03_the_studios_own_tool_shows_nothing_of_anothers(hosted: Hosted, era: str) -> None:
    ref, _ = await _made(hosted, f"vic-{era}")
    async with hosted.client(f"wim-{era}", era=era, extensions=PAGES) as wim:
        refused = {
            str(fields_of(await call(wim, "studio_read", uri=f"kontext://images/{one}{form}"))["error"])
            for one in (ref, "zzzz-zzzz-0000/1")
            for form in ("", "/thumb", "/preview")
        }
        job = fields_of(await call(wim, "studio_read", uri=f"kontext://jobs/{ref.partition('/')[0]}"))["error"]
        page = await wim.read_resource("ui://kontext/studio.html")
    assert len(refused) == 1 and "unknown_ref" in refused.pop()
    assert job["code"] == "not_found"
    assert ref not in page.model_dump_json()
    async with hosted.client(f"vic-{era}", era=era, extensions=PAGES) as vic:
        held = fields_of(await call(vic, "studio_read", uri=f"kontext://images/{ref}"))
    assert held["media_type"] == "image/png"

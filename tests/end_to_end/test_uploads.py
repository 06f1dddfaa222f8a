"""A local picture over HTTP: the refusal names an address, the file is put there, and the next call succeeds."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client

from kontext_server.simulator.serve import running
from support.http_server import client_of, served
from support.issuer import issuing
from support.looking_in import DataFolder
from support.own_keys import OPERATORS, Town
from support.stdio_server import ERAS, PHOTOS, call, fields_of

pytestmark = pytest.mark.anyio

CAT = PHOTOS / "chelsea.png"
MOST = 50_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="module")
def town(folder: Path) -> Generator[Town]:
    """One server for all: each test signs people in under names of its own."""
    with running(job_seconds=0.0) as simulator, issuing() as issuer:
        settings = simulator.settings | issuer.settings | {"KONTEXT_SHARE_KEYS": "true"}
        with served(folder, settings | {"CORE_TODAY_API_KEY": OPERATORS}) as server:
            yield Town(server=server, issuer=issuer, simulator=simulator)


async def way_of(town: Town, client: Client, image: str = "/home/ann/cat.png") -> tuple[str, str]:
    """Name a file in a call; give the address that its refusal names, and its code."""
    error = fields_of(await call(client, "edit_image", image=image, prompt="Make it warmer"))["error"]
    first, second = re.findall(rf"{town.server.base}/uploads/[A-Za-z0-9_-]+", error["fix"])
    assert first == second
    return first, error["code"]


async def put(url: str, data: bytes | AsyncGenerator[bytes], method: str = "PUT", **more: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=20) as http:
        return await http.request(method, url, content=data, **more)


@pytest.mark.parametrize("era", ERAS)
async def test_following_the_refusal_literally_makes_the_next_call_succeed(town: Town, era: str) -> None:
    async with town.client(f"ann{era[:2]}", era=era) as client:
        address, code = await way_of(town, client)
        taken = await put(address, CAT.read_bytes())
        told = taken.json()
        made = fields_of(
            await call(client, "edit_image", image=told["image"], prompt=f"Make it warmer, {era}", wait_seconds=50)
        )
        before = (await client.read_resource(f"kontext://images/{made['job_id']}/0/meta")).contents
    assert code == "source_not_allowed"
    assert (taken.status_code, told["image"], told["media_type"]) == (201, address, "image/png")
    assert (made["status"], made["depth"]) == ("completed", 1)
    assert before


async def test_a_person_chooses_a_file_once(town: Town) -> None:
    async with town.client("bea", era=ERAS[1]) as client, client_of(town.server) as http:
        address, _ = await way_of(town, client, "file:///home/bea/cat.png")
        page = await http.get(address)
        file = {"picture": ("a secret name.png", CAT.read_bytes(), "image/png")}
        answers = [await http.post(address, files=file), await http.post(address, files=file), await http.get(address)]
        made = fields_of(await call(client, "edit_image", image=address, prompt="Make it colder", wait_seconds=50))
    assert (page.status_code, 'type="file"' in page.text) == (200, True)
    assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert [answer.status_code for answer in answers] == [201, 404, 404]
    assert address in answers[0].text and "secret name" not in answers[0].text
    assert made["status"] == "completed"


async def test_anothers_upload_reads_as_one_that_never_was(town: Town) -> None:
    async with town.client("cara", era=ERAS[0]) as cara, town.client("dirk", era=ERAS[0]) as dirk:
        address, _ = await way_of(town, cara)
        told: dict[str, tuple[str, str]] = {}

        async def ask(client: Client, name: str, image: str) -> None:
            error = fields_of(await call(client, "edit_image", image=image, prompt="Make it mine"))["error"]
            told[name] = (error["code"], re.sub(r"/uploads/[A-Za-z0-9_-]+", "/uploads/WORDS", str(error)))
            same = f"image='{image}'" in error["fix"]
            assert same is (name == "hers, still open"), name

        await ask(cara, "hers, still open", address)
        await ask(dirk, "hers, still open, to him", address)
        assert (await put(address, CAT.read_bytes())).status_code == 201
        await ask(dirk, "hers", address)
        await ask(dirk, "nobody's", f"{town.server.base}/uploads/{'x' * 43}")
        await ask(dirk, "no words at all", f"{town.server.base}/uploads/")
        assert "job_id" in fields_of(await call(cara, "edit_image", image=address, prompt="Make it mine"))
    assert len(set(told.values())) == 1
    assert told["hers"][0] == "unknown_ref"


async def test_what_is_no_picture_or_too_much_is_not_kept_and_the_address_stays_open(town: Town, folder: Path) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(MOST // 1_000_000 + 1):
            yield b"x" * 1_000_000

    async with town.client("eli", era=ERAS[0]) as client:
        address, _ = await way_of(town, client)
        got = {
            "text": await put(address, b"not a picture"),
            "nothing": await put(address, b""),
            "a form without a file": await put(
                address, b"--b--\r\n", "POST", headers={"Content-Type": "multipart/form-data; boundary=b"}
            ),
            "a form that is none": await put(address, b"x", "POST", headers={"Content-Type": "multipart/form-data"}),
            "too long": await put(address, b"x" * (MOST + 1)),
            "too long, in pieces": await put(address, endless()),
            "of another site": await put(address, CAT.read_bytes(), headers={"Origin": "https://evil.example"}),
            "by a name that is not ours": await put(address, CAT.read_bytes(), headers={"Host": "evil.example"}),
        }
        left = list((folder / "data" / ".tmp").iterdir())
        fits = await put(address, CAT.read_bytes(), "POST")
    assert {name: answer.status_code for name, answer in got.items()} == {
        "text": 400,
        "nothing": 400,
        "a form without a file": 400,
        "a form that is none": 400,
        "too long": 413,
        "too long, in pieces": 413,
        "of another site": 403,
        "by a name that is not ours": 421,
    }
    assert (left, fits.status_code) == ([], 201)


async def test_no_address_that_is_still_open_stands_in_the_database(town: Town, folder: Path) -> None:
    async with town.client("fay", era=ERAS[0]) as client:
        address, _ = await way_of(town, client)
    assert DataFolder(folder / "data").one("SELECT COUNT(*) FROM tickets WHERE purpose = 'upload'") >= 1
    data = b"".join(path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file())
    assert address.rpartition("/")[2].encode() not in data

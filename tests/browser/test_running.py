"""A job under way in a host's frame: followed, cancelled, lost sight of; and hosts that leave things out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp.client import Client
from playwright.async_api import Browser

from kontext_server.simulator.serve import Running, running
from support.stdio_server import PHOTOS
from support.studio_host import DEFAULT_CSP, EVERYTHING, STRICT_CSP, Host, apps_client, host_of
from support.studio_view import CAT, edited, press, shows

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def slow_host(browser: Browser, folder: Path, *, job_seconds: float) -> AsyncGenerator[tuple[Host, Running]]:
    """Give a host whose provider takes its time."""
    with running(job_seconds=job_seconds) as simulator:
        async with apps_client(folder, simulator.settings) as client, host_of(browser, client) as host:
            yield host, simulator


@pytest.mark.parametrize("csp", [DEFAULT_CSP, STRICT_CSP], ids=["default", "no-images"])
async def test_a_running_edit_is_found_by_its_words_and_cancelled_from_the_view(
    browser: Browser, tmp_path: Path, csp: str
) -> None:
    async with slow_host(browser, tmp_path, job_seconds=600) as (host, simulator), anyio.create_task_group() as calls:
        await host.open(csp=csp)
        calls.start_soon(host.call, "edit_image", {"image": CAT, "prompt": "Make it a cartoon", "wait_seconds": 50})
        cancel = host.frame.get_by_role("button", name="Cancel")
        await cancel.wait_for()
        assert await host.frame.get_by_role("status").first.text_content() in ("Queued", "Running")
        assert "120 credits" in await host.frame.inner_text(".clock")
        await cancel.click()
        await host.frame.wait_for_selector("text=Cancelled: ")
        assert [tool for tool, _ in host.called] == ["cancel_job"]
        paths = [entry.path for entry in simulator.state.journal.entries() if entry.method == "DELETE"]
        assert len(paths) == 1


async def test_a_job_that_is_told_as_running_is_followed_to_its_picture(browser: Browser, tmp_path: Path) -> None:
    async with slow_host(browser, tmp_path, job_seconds=1.0) as (host, _):
        await host.open()
        answer = await host.call("edit_image", {"image": CAT, "prompt": "Make it a cartoon", "wait_seconds": 0})
        assert answer["structuredContent"]["status"] in ("pending", "processing")
        await shows(host.frame, answer["structuredContent"]["job_id"] + "/1")
        assert host.called == []


async def test_a_plan_is_followed_step_by_step_to_its_pictures(browser: Browser, tmp_path: Path) -> None:
    steps = [
        {"id": "base", "prompt": "A red car", "num_images": 2},
        {"id": "night", "prompt": "Make it night", "image": "$base/*"},
    ]
    async with slow_host(browser, tmp_path, job_seconds=0.5) as (host, _):
        await host.open()
        await host.call("run_plan", {"steps": steps, "wait_seconds": 0})
        await host.frame.wait_for_selector(".steps li")
        assert await host.frame.locator(".steps .grow").all_inner_texts() == ["base", "night", "night"]
        await host.frame.wait_for_selector(".others button")
        assert await host.frame.locator(".others button").count() == 4
        assert await host.frame.inner_text(".viewer .prompt") == "Make it night"


async def test_the_same_words_twice_at_once_are_told_apart_by_nobody_so_none_is_cancelled(
    browser: Browser, tmp_path: Path
) -> None:
    async with slow_host(browser, tmp_path, job_seconds=600) as (host, _):
        await host.open()
        await host.tell("tool-input", {"arguments": {"image": CAT, "prompt": "Make it a cartoon"}})
        for key in ("one", "two"):
            call = {"image": CAT, "prompt": "Make it a cartoon", "wait_seconds": 0, "request_key": key}
            await host.client.call_tool("edit_image", call)
        for _ in range(3):
            await next_read(host, "kontext://jobs")
        assert await host.frame.get_by_role("button", name="Cancel").count() == 0


async def test_a_job_of_the_same_words_on_another_picture_is_not_taken_for_ours(
    browser: Browser, tmp_path: Path
) -> None:
    async with slow_host(browser, tmp_path, job_seconds=600) as (host, _):
        await host.open()
        other = str(PHOTOS / "coffee.png")
        await host.tell("tool-input", {"arguments": {"image": CAT, "prompt": "Make it a cartoon"}})
        await host.client.call_tool("edit_image", {"image": other, "prompt": "Make it a cartoon", "wait_seconds": 0})
        for _ in range(3):
            await next_read(host, "kontext://jobs")
        assert await host.frame.get_by_role("button", name="Cancel").count() == 0


async def test_a_plan_is_known_by_its_steps_before_its_answer_comes(browser: Browser, tmp_path: Path) -> None:
    steps = [{"id": "base", "prompt": "A red car"}, {"id": "night", "prompt": "Make it night", "image": "$base"}]
    async with slow_host(browser, tmp_path, job_seconds=600) as (host, _), anyio.create_task_group() as calls:
        await host.open()
        calls.start_soon(host.call, "run_plan", {"steps": steps, "wait_seconds": 50})
        await host.frame.get_by_role("button", name="Cancel").click()
        await host.frame.wait_for_selector("text=Cancelled")


async def test_a_refusal_stays_when_the_host_tells_the_arguments_once_more(browser: Browser, client: Client) -> None:
    refused = {"image": "/nowhere.png", "prompt": "Make it a sketch"}
    async with host_of(browser, client) as host:
        await host.open()
        await host.call("edit_image", refused)
        told = host.frame.get_by_role("region", name="Answer")
        await told.wait_for()
        await host.tell("tool-input", {"arguments": refused})
        await host.frame.evaluate("() => new Promise(requestAnimationFrame)")
        assert await told.is_visible()


async def test_a_call_that_was_cancelled_before_it_had_a_job_ends_in_the_view_too(
    browser: Browser, client: Client
) -> None:
    async with host_of(browser, client) as host:
        await host.page.clock.install()
        await host.open()
        await host.tell("tool-input", {"arguments": {"image": CAT, "prompt": "Make it a cartoon, never sent"}})
        await host.frame.get_by_role("region", name="Under way").wait_for()
        await host.tell("tool-cancelled", {})
        for _ in range(30):
            await host.page.clock.run_for(1000)
            await host.calm()
        await host.frame.wait_for_selector("text=The call was cancelled; no job of it was found.")


async def test_an_answer_before_the_handshake_is_shown_all_the_same(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        answer = await client.call_tool("edit_image", {"image": CAT, "prompt": "Make it a sketch"})
        early = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        await host.open(early=early)
        await shows(host.frame, early["structuredContent"]["images"][0]["ref"])


async def test_a_host_without_resources_is_read_through_the_apps_own_tool(browser: Browser, client: Client) -> None:
    few = tuple(name for name in EVERYTHING if name != "serverResources")
    async with host_of(browser, client, offers=few) as host:
        await host.open()
        ref = await edited(host)
        assert {tool for tool, _ in host.called} == {"studio_read"}
        await host.frame.get_by_role("button", name="All pictures").click()
        await host.frame.wait_for_selector(f"[data-key='card-{ref}'] canvas[width='256']")


async def test_a_host_that_offers_nothing_is_told_where_the_answer_stands(browser: Browser, client: Client) -> None:
    async with host_of(browser, client, offers=()) as host:
        await host.open()
        await host.call("edit_image", {"image": CAT, "prompt": "Make it a sketch"})
        await host.frame.wait_for_selector("text=This client lets the studio read nothing.")


@pytest.mark.parametrize("cut", ["no fields", "no call"])
async def test_an_answer_whose_fields_a_host_drops_is_found_by_its_text(
    browser: Browser, client: Client, cut: str
) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        answer = await client.call_tool("edit_image", {"image": CAT, "prompt": f"Make it a sketch, {cut}"})
        told = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        ref = told.pop("structuredContent")["images"][0]["ref"]
        await host.tell("tool-result", told)
        await shows(host.frame, ref)


async def test_a_refused_call_says_what_happened_what_it_cost_and_what_to_do(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        await host.call("edit_image", {"image": "/etc/passwd", "prompt": "Make it a sketch"})
        told = host.frame.get_by_role("region", name="Answer")
        await told.wait_for()
        words = await told.inner_text()
        assert "Nothing was charged." in words
        assert "/etc/passwd" not in words


async def test_a_cancelled_call_leaves_its_job_in_sight(browser: Browser, tmp_path: Path) -> None:
    async with slow_host(browser, tmp_path, job_seconds=2.0) as (host, _), anyio.create_task_group() as calls:
        await host.open()
        await host.tell("tool-input", {"arguments": {"image": CAT, "prompt": "Make it a cartoon"}})
        calls.start_soon(host.client.call_tool, "edit_image", {"image": CAT, "prompt": "Make it a cartoon"})
        await host.frame.get_by_role("button", name="Cancel").wait_for()
        await host.tell("tool-cancelled", {"reason": "user action"})
        await host.frame.wait_for_selector(".viewer .prompt")


async def test_two_views_of_one_answer_show_the_same_and_ask_for_nothing_paid(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        answer = await client.call_tool("edit_image", {"image": CAT, "prompt": "Make it a sketch"})
        told = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        ref = told["structuredContent"]["images"][0]["ref"]
        for _ in range(2):
            await host.open(early=told)
        await host.tell("tool-result", told)
        for frame in host.page.frames[1:]:
            await shows(frame, ref)
        assert host.called == []


async def test_nothing_is_asked_while_nobody_looks_nor_after_the_end(browser: Browser, tmp_path: Path) -> None:
    async with slow_host(browser, tmp_path, job_seconds=600) as (host, _):
        await host.page.clock.install()
        await host.open()
        answer = await host.call("edit_image", {"image": CAT, "prompt": "Make it a cartoon", "wait_seconds": 0})
        job = f"kontext://jobs/{answer['structuredContent']['job_id']}"
        asked = [await reads_in_a_minute(host, job)]
        await host.page.evaluate("document.querySelector('iframe').style.display = 'none'")
        await host.page.evaluate("new Promise(done => new IntersectionObserver(done).observe(document.body))")
        asked.append(await reads_in_a_minute(host, job))
        await host.page.evaluate("document.querySelector('iframe').style.display = ''")
        await host.page.evaluate("new Promise(done => new IntersectionObserver(done).observe(document.body))")
        asked.append(await reads_in_a_minute(host, job))
        await host.page.evaluate("send({id: 'end', method: 'ui/resource-teardown', params: {}})")
        await host.page.wait_for_function("() => log.some(m => m.id === 'end' && m.result)")
        asked.append(await reads_in_a_minute(host, job))
        # Every three seconds at last; while nobody looks, one that was under way at most.
        assert (3 <= asked[0] <= 21, asked[1] <= 1, 3 <= asked[2] <= 21, asked[3]) == (True, True, True, 0), asked


async def test_the_view_takes_the_hosts_colours_and_its_theme_as_it_changes(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        variables = {"--color-background-primary": "rgb(1, 2, 3)", "--color-text-primary": "rgb(250, 250, 250)"}
        await host.open(theme="dark", context={"styles": {"variables": variables}})
        await edited(host)
        ground = "getComputedStyle(document.body).backgroundColor"
        assert await host.frame.evaluate(ground) == "rgb(1, 2, 3)"
        await host.tell("host-context-changed", {"theme": "light"})
        await host.frame.wait_for_function("() => getComputedStyle(document.documentElement).colorScheme === 'light'")


async def test_an_unknown_request_of_the_host_is_refused_by_the_protocol(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        await host.page.evaluate("send({id: 7, method: 'sampling/createMessage', params: {}})")
        await host.page.wait_for_function("() => log.some(m => m.id === 7 && m.error?.code === -32601)")
        await edited(host)
        await press(host.frame, "?")
        await host.frame.get_by_role("dialog", name="Keys").wait_for()


async def next_read(host: Host, uri: str) -> None:
    """Wait until the view reads an address once more."""
    count = f"log.filter(m => m.params?.uri === '{uri}').length"
    seen: int = await host.page.evaluate(count)
    await host.page.wait_for_function(f"() => {count} > {seen}")


async def reads_in_a_minute(host: Host, uri: str) -> int:
    """Count the reads of an address while the page's clock runs on by a minute, three seconds at a time."""
    count = f"log.filter(m => m.params?.uri === '{uri}').length"
    seen: int = await host.page.evaluate(count)
    for _ in range(20):
        await host.page.clock.run_for(3000)
        await host.calm()
    return int(await host.page.evaluate(count)) - seen

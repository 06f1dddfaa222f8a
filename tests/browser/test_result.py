"""A finished edit in a host's sandboxed frame: compared, walked, tried again; under every policy, in real Chromium."""

from __future__ import annotations

import anyio
import pytest
from mcp.client import Client
from playwright.async_api import Browser, Frame

from support.stdio_server import fields_of
from support.studio_host import DEFAULT_CSP, EVERYTHING, STRICT_CSP, host_of
from support.studio_view import colour_at, edited, press, shows

pytestmark = pytest.mark.anyio

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> a cat"


@pytest.mark.parametrize("csp", [DEFAULT_CSP, STRICT_CSP], ids=["default", "no-images"])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_an_edit_is_shown_before_and_after_under_every_policy(
    browser: Browser, client: Client, csp: str, theme: str
) -> None:
    async with host_of(browser, client) as host:
        await host.open(csp=csp, theme=theme)
        await edited(host)
        names = await host.frame.eval_on_selector_all(".stage canvas", "all => all.map(c => c.ariaLabel)")
        assert names[0] == "After: Make it a watercolour"
        assert names[1].startswith("Before: ")
        assert (await colour_at(host.frame, ".after canvas", 0.5))[3] == 255
        assert await colour_at(host.frame, ".after canvas", 0.3) != await colour_at(host.frame, ".before canvas", 0.3)
        ground = await host.frame.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(32, 30, 28)"}[theme]


async def test_the_slider_is_moved_by_keyboard_and_says_where_it_is(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        await edited(host)
        slider = host.frame.get_by_role("slider", name="Compare before and after")
        await slider.focus()
        said: list[str | None] = []
        for key in ("Home", "End", "ArrowLeft", "PageDown"):
            await slider.press(key)
            said.append(await slider.get_attribute("aria-valuetext"))
        at = await host.frame.eval_on_selector(".compare", "e => e.style.getPropertyValue('--at')")
        assert said[:3] == ["0 % before, 100 % after", "100 % before, 0 % after", "99 % before, 1 % after"]
        assert at == f"{await slider.input_value()}%"


async def test_two_more_ways_to_compare_and_before_while_a_key_is_held(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        await edited(host)
        compare = host.frame.locator(".compare")
        await host.frame.get_by_role("button", name="Side by side").click()
        assert await compare.get_attribute("data-mode") == "side"
        await press(host.frame, "c")
        assert await compare.get_attribute("data-mode") == "difference"
        assert await host.frame.locator(".stage canvas").count() == 1
        await press(host.frame, "c")
        await host.page.keyboard.down("b")
        assert await compare.evaluate("e => e.classList.contains('held')")
        await host.page.keyboard.up("b")
        assert not await compare.evaluate("e => e.classList.contains('held')")


async def test_pictures_of_different_shapes_stand_side_by_side_and_it_says_so(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        await edited(host, "Make it a poster", aspect_ratio="1:1")
        await host.frame.wait_for_selector("[data-mode=side]")
        told = await host.frame.inner_text(".compare .note")
        assert told == "The pictures have different shapes (1.50:1 and 1.00:1), so they stand side by side."
        assert await host.frame.locator(".modes").count() == 0


async def test_the_line_is_walked_by_keys_and_the_model_hears_what_is_looked_at(
    browser: Browser, client: Client
) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        first = await edited(host, "Make it a sketch")
        await edited(host, "Make it warmer", image=first)
        assert await host.frame.locator(".line button").count() == 3
        assert await host.log("ui/update-model-context") == []
        await press(host.frame, "u")
        await shows(host.frame, first)
        await press(host.frame, "ArrowLeft")
        await shows(host.frame, f"{first.partition('/')[0]}/0")
        assert await host.frame.inner_text(".viewer .prompt") == "The source as it was sent"
        line = host.frame.locator(".line button")
        await line.nth(0).focus()
        await line.nth(0).press("ArrowRight")
        await line.nth(1).press("Enter")
        await shows(host.frame, first)
        said = [message["params"]["content"][0]["text"] for message in await host.log("ui/update-model-context")]
        told = [text.partition("looks at ")[2].partition(".")[0] for text in said]
        assert told == [first, f"{first[:-1]}0", first]


async def test_the_tree_shows_every_branch_of_the_same_source(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        root = await edited(host, "Make it a mosaic")
        left = await edited(host, "Make it blue", image=root)
        await edited(host, "Make it green", image=root)
        await host.frame.get_by_role("button", name="Tree").click()
        tree = host.frame.get_by_role("treeitem")
        await tree.nth(3).wait_for()
        told = await tree.evaluate_all("all => all.map(e => [e.ariaLevel, e.textContent])")
        assert told == [["1", "The source"], ["2", "Make it a mosaic"], ["3", "Make it blue"], ["3", "Make it green"]]
        await tree.nth(3).focus()
        await tree.nth(3).press("ArrowUp")
        await tree.nth(2).press("Enter")
        await shows(host.frame, left)


async def test_another_try_tells_its_price_first_and_buys_once_at_the_second_click(
    browser: Browser, client: Client
) -> None:
    async with host_of(browser, client) as host:
        await host.page.clock.install()
        await host.open()
        ref = await edited(host, "Make it look old", keep="the eyes")
        await host.frame.get_by_role("button", name="Try again").click()
        buy = host.frame.get_by_role("button", name="Make it: free")
        await buy.wait_for()
        assert [arguments.get("dry_run") for _, arguments in host.called] == [True]
        assert not await buy.evaluate("e => e === document.activeElement")
        await host.page.clock.fast_forward(1000)
        await buy.dblclick()
        await host.frame.wait_for_function(
            "ref => { const f = document.querySelector('.viewer .facts'); return f && !f.textContent.startsWith(ref) }",
            arg=ref,
        )
        bought = [arguments for _, arguments in host.called if "request_key" in arguments]
        assert len({arguments["request_key"] for arguments in bought}) == 1
        wanted = {
            "prompt": "Make it look old",
            "keep": "the eyes",
            "image": f"{ref[:-1]}0",
            "num_images": 1,
            "provider": "sandbox",  # the one whose price was told: no other may pass for it
            "wait_seconds": 0,
        }
        assert {name: bought[0].get(name) for name in wanted} == wanted
        found = await client.call_tool("find_images", {"query": "look old"})
        assert len(fields_of(found)["images"]) == 2
        await host.frame.get_by_role("button", name="All pictures").click()
        await host.frame.wait_for_selector(f"[data-key='card-{fields_of(found)['images'][0]['ref']}']")


async def test_a_price_that_has_just_come_up_is_not_bought_by_the_rest_of_a_double_click(
    browser: Browser, client: Client
) -> None:
    async with host_of(browser, client) as host:
        await host.page.clock.install()
        await host.page.clock.pause_at(4_000_000_000_000)
        await host.open()
        await edited(host, "Make it look new")
        await host.frame.get_by_role("button", name="Try again").click()
        buy = host.frame.get_by_role("button", name="Make it: free")
        await buy.click()
        assert await buy.is_visible()
        assert [arguments for _, arguments in host.called if "request_key" in arguments] == []


async def test_a_price_that_comes_late_is_not_told_under_another_picture(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        first = await edited(host, "Make it a sketch")
        await edited(host, "Make it warmer", image=first)
        host.gate = anyio.Event()
        await host.frame.get_by_role("button", name="Try again").click()
        await press(host.frame, "u")
        await shows(host.frame, first)
        host.gate.set()
        await host.calm()
        await host.frame.evaluate("() => new Promise(requestAnimationFrame)")
        assert await host.frame.get_by_role("group", name="Another try").count() == 0


async def test_nothing_is_sold_where_the_client_does_not_tell_the_price(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        await edited(host)
        host.tells_fields = False
        await host.frame.get_by_role("button", name="Try again").click()
        await host.frame.wait_for_selector("text=The client did not tell the price.")
        assert await host.frame.locator(".panel button").all_inner_texts() == ["Close"]
        await host.frame.get_by_role("button", name="Close").click()
        assert await _focused(host.frame) == "again"


async def test_who_works_by_keyboard_keeps_their_place(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        first = await edited(host, "Make it a sketch")
        await edited(host, "Make it warmer", image=first)
        tree = host.frame.get_by_role("button", name="Tree")
        await tree.focus()
        await tree.press("Enter")
        item = host.frame.get_by_role("treeitem", name="Make it a sketch")
        await item.focus()
        await item.press("Enter")
        await shows(host.frame, first)
        await host.calm()
        assert await _focused(host.frame) == f"tree-{first}"
        await host.frame.get_by_role("button", name="All pictures").press("Enter")
        card = host.frame.locator(f"[data-key='card-{first}']")
        await card.focus()
        await card.press("Enter")
        await host.frame.wait_for_selector(".viewer")
        assert await host.frame.evaluate("() => document.activeElement.className") == "prompt"
        await press(host.frame, "?")
        await host.frame.get_by_role("dialog", name="Keys").wait_for()
        await host.page.keyboard.press("i")
        await host.page.keyboard.press("Escape")
        await host.frame.get_by_role("dialog", name="Keys").wait_for(state="detached")
        assert await host.frame.locator(".details").is_hidden()
        assert await host.frame.locator(".viewer").is_visible()


async def _focused(frame: Frame) -> str | None:
    """Give the name of what has the focus."""
    key: str | None = await frame.evaluate("() => document.activeElement.dataset.key ?? null")
    return key


async def test_edit_this_speaks_in_the_conversation_or_gives_a_line_to_say(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        ref = await edited(host)
        await host.frame.get_by_role("button", name="Edit this").click()
        await host.frame.wait_for_selector("text=Now write there what to change")
        said = await host.log("ui/message")
        assert said[0]["params"] == {
            "role": "user",
            "content": [{"type": "text", "text": f"The next edit starts from {ref}."}],
        }
    few = tuple(name for name in EVERYTHING if name not in ("message", "updateModelContext"))
    async with host_of(browser, client, offers=few) as host:
        await host.open()
        ref = await edited(host)
        await press(host.frame, "e")
        await host.frame.wait_for_selector(f"text=for your assistant: Edit {ref}: …")
        assert await host.log("ui/message") == []


async def test_a_picture_is_downloaded_as_it_was_delivered(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        ref = await edited(host)
        await host.frame.get_by_role("button", name="Download").click()
        await host.frame.wait_for_selector("text=Given to be saved.")
        block = (await host.log("ui/download-file"))[0]["params"]["contents"][0]["resource"]
        delivered = await client.read_resource(f"kontext://images/{ref}")
        assert block["uri"] == f"file:///{ref.replace('/', '-')}.png"
        assert block["blob"] == delivered.contents[0].model_dump()["blob"]


async def test_words_from_a_model_are_shown_and_never_run(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        await edited(host, HOSTILE)
        assert await host.frame.inner_text(".viewer .prompt") == HOSTILE
        assert await host.frame.locator("main img, main script").count() == 0
        await host.frame.get_by_role("button", name="Tree").click()
        await host.frame.get_by_role("treeitem").nth(1).wait_for()
        assert await host.frame.locator("main img, main script").count() == 0


async def test_all_pictures_are_searched_filtered_and_opened(browser: Browser, client: Client) -> None:
    async with host_of(browser, client, offers=(*EVERYTHING, "fullscreen")) as host:
        await host.open()
        ref = await edited(host, "Put a zeppelin into the sky")
        await edited(host, "Make it foggy")
        await host.frame.get_by_role("button", name="All pictures").click()
        assert len(await host.log("ui/request-display-mode")) == 1
        search = host.frame.get_by_role("searchbox")
        cards = host.frame.locator(".grid button")
        await search.fill("zeppelin")
        await host.frame.wait_for_selector("text=1 picture.")
        # A card that was not painted yet has words and shows none.
        assert (await cards.nth(0).text_content() or "").startswith("Put a zeppelin into the sky")
        await host.frame.get_by_label("Made by").select_option("fal")
        await host.frame.wait_for_selector("text=No picture found.")
        await host.frame.get_by_label("Made by").select_option("sandbox")
        await host.frame.get_by_label("Made when").select_option("today")
        await host.frame.wait_for_selector("text=1 picture.")
        assert await host.frame.inner_text(".gallery > .facts") == "Spent in the last 30 days: nothing."
        await cards.nth(0).focus()
        await cards.nth(0).press("Enter")
        await shows(host.frame, ref)
        await press(host.frame, "Escape")
        assert await search.input_value() == "zeppelin"


async def test_two_images_that_were_looked_at_together_are_compared_with_each_other(
    browser: Browser, client: Client
) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        one = await edited(host, "Make it stormy")
        other = await edited(host, "Make it sunny")
        await host.call("view_images", {"refs": [one, other]})
        await host.frame.wait_for_selector(f"canvas[aria-label^='{one}: ']")
        assert await host.frame.locator("figcaption").all_inner_texts() == [other, one]

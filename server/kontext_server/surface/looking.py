"""The tools that only read images, find_images and view_images: their words, their arguments, their verbs.

What it is not: the shapes of their answers (`listings`) or the work (`kontext_tools.gallery`). Above: tools, resources.
Below: tool, reading, listings, studio.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl

import anyio.to_thread
import mcp_types as types

from kontext_server.app import App
from kontext_server.surface import listings
from kontext_server.surface.arguments import Arguments, Kind, Parameter
from kontext_server.surface.reading import read
from kontext_server.surface.tool import Tool, result, tool
from kontext_tools.finding import Search
from kontext_tools.views import Call

MOST_VIEWED = 4
MOST_FOUND = 50
GALLERY = "gallery_url"
"""A field that is there only where people sign in over HTTP."""
LONGEST_PX = {"small": 512, "large": 1024}
MAX_PICTURES_BYTES = 480_000
"""A whole answer stays under 700 KB: base64 adds a third, text and structured content some KB."""

_HINTS = types.ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

QUERY = Parameter(
    name="query",
    kind=Kind.TEXT,
    default="",
    max_chars=500,
    aliases=("q", "search", "text", "words"),
    description="Words of its prompt, label or keep.",
)
SINCE = Parameter(
    name="since",
    kind=Kind.NAME,
    default="",
    max_chars=100,
    aliases=("after", "from"),
    description="today, yesterday, 12h, 7d, 2w or an ISO date.",
)
DERIVED_FROM = Parameter(
    name="derived_from",
    kind=Kind.NAME,
    default="",
    max_chars=1000,
    aliases=("parent", "ancestor", "ref"),
    description="A reference: only what was made from it.",
)
LIMIT = Parameter(
    name="limit",
    kind=Kind.INTEGER,
    default=10,
    minimum=1,
    maximum=MOST_FOUND,
    aliases=("count", "max_results"),
    description="At most so many.",
)
CURSOR = Parameter(
    name="cursor",
    kind=Kind.NAME,
    default="",
    max_chars=1000,
    aliases=("next_cursor",),
    description="next_cursor of the answer before.",
)
FIND_IMAGES = (QUERY, SINCE, DERIVED_FROM, LIMIT, CURSOR)
_PROVIDER = Parameter(name="provider", kind=Kind.NAME, default="", max_chars=100, description="Its exact name.")
_OF_AN_ADDRESS = tuple(
    replace(parameter, aliases=())
    for parameter in (QUERY, SINCE, DERIVED_FROM, replace(LIMIT, default=MOST_FOUND), CURSOR, _PROVIDER)
)
VIEW_IMAGES = (
    Parameter(
        name="refs",
        kind=Kind.NAMES,
        required=True,
        max_items=MOST_VIEWED,
        max_chars=1000,
        aliases=("images", "image", "ref"),
        description="References such as red-car-4k7q/1; /0 is the source.",
    ),
    Parameter(
        name="size",
        kind=Kind.CHOICE,
        default="small",
        choices=tuple(LONGEST_PX),
        spellings={str(px): name for name, px in LONGEST_PX.items()},
        description="Longest side: 512 or 1024 px.",
    ),
)


def tools(app: App) -> tuple[Tool, ...]:
    """Make both."""
    return _find_images(app), _view_images(app)


def _find_images(app: App) -> Tool:
    async def verb(arguments: Arguments, call: Call) -> types.CallToolResult:
        search = search_of(arguments)
        finds = await app.studio.find_images(call.owner, search, limit=arguments["limit"], cursor=arguments["cursor"])
        link = {} if app.link_of is None else {GALLERY: app.link_of(call.owner)}
        text = listings.finds_text(search, finds, link.get(GALLERY))
        return result(text, listings.finds_fields(search, finds) | link)

    return tool(
        "find_images",
        "Find earlier images",
        "Find earlier images, newest first, such as yesterday's car. Look here before asking the person which they "
        "mean.",
        FIND_IMAGES,
        _HINTS,
        verb,
        answers={**listings.FINDS_FIELDS, **({} if app.link_of is None else {GALLERY: "string"})},
    )


def _view_images(app: App) -> Tool:
    async def verb(arguments: Arguments, call: Call) -> types.CallToolResult:
        pictures, fitted = await app.studio.view_images(
            call.owner,
            arguments["refs"],
            longest_px=LONGEST_PX[arguments["size"]],
            most_bytes=MAX_PICTURES_BYTES,
        )
        places = partial(app.places, call.owner)
        answer = result(listings.views_text(pictures, fitted, places), listings.views_fields(pictures, fitted, places))
        answer.content.extend([await anyio.to_thread.run_sync(_shown, jpeg) for jpeg in fitted.jpegs])
        return answer

    return tool(
        "view_images",
        "Look at images",
        "Show one to four earlier images, a picture each, to compare or choose.",
        VIEW_IMAGES,
        _HINTS,
        verb,
        answers=listings.VIEWS_FIELDS,
    )


def search_of(arguments: Arguments) -> Search:
    """Give the search that a call's arguments ask for."""
    return Search(query=arguments["query"], since=arguments["since"], derived_from=arguments["derived_from"])


def arguments_in(query: str) -> Arguments | None:
    """Read what an address asks of find_images (RFC 6570, `{?query,since,…}`), and who shall have made it.

    Gives `None` where it is no query, or says a thing twice.

    Raises:
        InvalidArgument: a name or a value that is not taken.
    """
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=len(_OF_AN_ADDRESS)
        )
    except ValueError:
        return None
    return None if len(dict(pairs)) < len(pairs) else read(_OF_AN_ADDRESS, dict(pairs))


def _shown(jpeg: bytes) -> types.ImageContent:
    data = base64.b64encode(jpeg).decode("ascii")
    return types.ImageContent(type="image", data=data, mime_type="image/jpeg")

"""The studio, an MCP App (`io.modelcontextprotocol/ui`): a page that a host shows beside our answers.

What this is: the page as a resource, which tools' answers it shows, how both eras are told of it, and the one tool that
it alone calls. What it is not: the page (`server/studio` is its source, `assets/studio.html` what is made of it), or
what it reads (`resources`). Above: server, catalogue, resources, tools. Below:
studio_page, uris, looking, tool, reading, failures.

The page runs in a frame that loads nothing from anywhere, so no `csp` is asked for. Facts are those of
https://github.com/modelcontextprotocol/ext-apps, specification/2026-01-26/apps.mdx.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import Server

from kontext_server.surface import looking
from kontext_server.surface.arguments import Kind, Parameter, schema_of
from kontext_server.surface.extensions import declares
from kontext_server.surface.failures import error_result
from kontext_server.surface.reading import read
from kontext_server.surface.tool import MAX_ANSWER_BYTES, Tool
from kontext_server.surface.uris import IMAGES_URI, JOBS_URI, SCHEME, image_of, job_of
from kontext_tools.errors import InvalidArgument, KontextError, NotFound, UnknownRef

IDENTIFIER = "io.modelcontextprotocol/ui"
URI = "ui://kontext/studio.html"
MEDIA_TYPE = "text/html;profile=mcp-app"
READ = "studio_read"

BOUND = frozenset({"edit_image", "generate_image", "get_status", "view_images", "run_plan"})
"""The tools whose answers hold pictures to show."""
_META = {"ui": {"prefersBorder": True}}

RESOURCE = types.Resource(
    name="studio",
    title="The studio",
    uri=URI,
    description="A page that shows pictures, what they were made from, and all there are.",
    mime_type=MEDIA_TYPE,
    _meta=_META,
)

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, types.CallToolRequestParams], Awaitable[HandlerResult]]
Contents = types.TextResourceContents | types.BlobResourceContents
Reader = Callable[[str], Awaitable[Contents | None]]
"""Gives what an address of ours holds, or `None` where it is none; raises the tree's errors."""

_PARAMETERS = (Parameter(name="uri", kind=Kind.TEXT, required=True, description="A kontext:// address."),)
SPEC = types.Tool(
    name=READ,
    description="Give what an address holds.",
    input_schema=schema_of(_PARAMETERS),
    annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
    _meta={"ui": {"visibility": ["app"]}},
)
"""For hosts that let their page call tools and read no resources."""


def shown(tool: Tool) -> Tool:
    """Give a tool that names the page, where its answers are shown there; else the tool as it is.

    Some hosts know only the flat key of the specification's drafts.
    """
    if tool.spec.name not in BOUND:
        return tool
    meta = {"ui": {"resourceUri": URI}, "ui/resourceUri": URI}
    return replace(tool, spec=tool.spec.model_copy(update={"meta": meta}))


def listed(ctx: Context) -> list[types.Tool]:
    """Give what a client is listed beside the tools: studio_read, where it shows the page."""
    return [SPEC] if declared(ctx) else []


def served_by(reader: Reader) -> Callable[[Handler], Handler]:
    """Wrap the handler of `tools/call`, so that a client that shows the page has its tool; for others there is none."""

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def wrapped(ctx: Context, params: types.CallToolRequestParams) -> HandlerResult:
            if params.name == READ and declared(ctx):
                return await _call(reader, params.arguments)
            return await handler(ctx, params)

        return wrapped

    return wrap


def declared(ctx: Context) -> bool:
    """Whether the client shows such pages."""
    return declares(ctx, IDENTIFIER)


async def contents() -> types.TextResourceContents:
    """Give the page."""
    from kontext_server.surface.studio_page import built

    text = await anyio.to_thread.run_sync(built)
    return types.TextResourceContents(uri=URI, text=text, mime_type=MEDIA_TYPE, _meta=_META)


def serve(server: Server[Any]) -> None:
    """Declare the extension, in both eras."""
    server.extensions[IDENTIFIER] = {}
    server.middleware.append(_tell_handshake)


async def _tell_handshake(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Name the extension in the answer of `initialize`, of which the SDK takes all extensions out.

    Not so the others that this server has: they are of 2026-07-28 alone.
    """
    result = await call_next(ctx)
    if ctx.method == "initialize" and isinstance(result, dict):  # a notification of that name is told nothing
        result["capabilities"]["extensions"] = {IDENTIFIER: {}}
    return result


async def _call(reader: Reader, raw: Mapping[str, Any] | None) -> types.CallToolResult:
    """Serve studio_read: what an address holds, as `resources/read` gives it."""
    try:
        held = await _held(reader, read(_PARAMETERS, raw)["uri"])
    except KontextError as error:
        return error_result(error.failure)
    size_bytes = len(held.text.encode()) if isinstance(held, types.TextResourceContents) else _size(held.blob)
    answer = types.CallToolResult(
        content=[types.EmbeddedResource(type="resource", resource=held)],
        structured_content={"uri": held.uri, "media_type": held.mime_type, "bytes": size_bytes},
    )
    if len(answer.model_dump_json(by_alias=True, exclude_none=True).encode()) > MAX_ANSWER_BYTES:
        return error_result(_too_large(held.uri).failure)
    return answer


async def _held(reader: Reader, uri: str) -> Contents:
    try:
        held = await reader(uri) if uri.startswith(SCHEME) else None
        if held is None:
            raise InvalidArgument("uri is no address of this server; nothing was read.", fix="")
    except (NotFound, UnknownRef, InvalidArgument) as error:
        there, what = (JOBS_URI, "jobs") if isinstance(error, NotFound) else (IMAGES_URI, "images")
        fix = f"Call {READ}(uri='{there}') for the {what} that there are."
        raise type(error)(error.failure.message, fix=fix, field="uri") from None
    return held


def _too_large(uri: str) -> InvalidArgument:
    return InvalidArgument("What uri names is too large for one answer.", fix=_smaller(uri), field="uri")


def _smaller(uri: str) -> str:
    """Say what gives less of the same: an image's smaller form, a shorter list, one job of all, a job's answer."""
    if (image := image_of(uri)) and image.form != "thumb":
        return f"Call {READ}(uri='{image.ref.uri}/{'thumb' if image.form == 'preview' else 'preview'}')."
    if job_id := job_of(uri):
        return f"Call get_status(job_id='{job_id}'), which tells less of it."
    address, _, query = uri.partition("?")
    if address == IMAGES_URI and (arguments := looking.arguments_in(query)) and arguments["limit"] > 1:
        fewer = {**dict(parse_qsl(query, keep_blank_values=True)), "limit": arguments["limit"] // 2}
        return f"Call {READ}(uri='{address}?{urlencode(fewer)}')."
    return f"Only a part of it can be had: call {READ}(uri='{JOBS_URI}/…') with the id of one job."


def _size(blob: str) -> int:
    return len(blob) * 3 // 4 - blob[-2:].count("=")

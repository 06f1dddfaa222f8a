"""Past results as resources: a paged list, and what lies behind each address.

What this is: the `kontext://` URIs of CONTRACT.md section 3 that this version serves. What it is not: the words of the
list (`catalogue`) or the images (`kontext_tools.studio`). Above: server. Below: uris, catalogue, studio,
answers.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import anyio.to_thread
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from kontext_server.app import LOCAL_OWNER, App
from kontext_server.surface import answers, listings, looking, provider_sheet, studio_app
from kontext_server.surface.catalogue import FIXED, JSON, MARKDOWN, listed
from kontext_server.surface.guide import GUIDE
from kontext_server.surface.uris import (
    GUIDE_URI,
    IMAGES_URI,
    JOBS_URI,
    PROVIDERS_URI,
    USAGE_URI,
    ImageUri,
    image_of,
    job_of,
)
from kontext_tools.asked import asked
from kontext_tools.choosing import AUTO, KEY_VARIABLES, NOT_SHARED, SANDBOX
from kontext_tools.errors import InvalidArgument, KontextError, NotFound, ResultInvalid
from kontext_tools.finding import Search
from kontext_tools.formats import JPEG, WEBP
from kontext_tools.jobs import Job
from kontext_tools.references import Ref
from kontext_tools.views import View

PAGE = 50
PREVIEW_PX = 768
NOT_FOUND_LEGACY = -32002
"""The handshake era's code for a missing resource; 2026-07-28 says invalid params (its specification, resources)."""

_PLAIN_URI = re.compile(r"[!-~]{1,200}")
"""The protocol has the address that is not there told back (resources, error handling); only one that is such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one resource holds: text, or bytes as they are."""

    uri: str
    media_type: str
    data: str | bytes


class Resources:
    """The resources of one app.

    Args:
        app: whose store holds them.
        whose: gives the owner in whose request it is called; the local user for whoever serves nobody else.
    """

    def __init__(self, app: App, whose: Callable[[], str] = lambda: LOCAL_OWNER) -> None:
        self._app = app
        self._whose = whose

    async def page(self, cursor: str | None) -> types.ListResourcesResult:
        """Give a page of images, newest first; the list of jobs stands before the first page.

        Raises:
            MCPError: the cursor is none of ours.
        """
        if cursor == "":  # no page of ours ended there
            raise MCPError(types.INVALID_PARAMS, _NO_CURSOR)
        try:
            finds = await self._app.studio.find_images(self._whose(), Search(), limit=PAGE, cursor=cursor or "")
        except InvalidArgument:
            raise MCPError(types.INVALID_PARAMS, _NO_CURSOR) from None
        # What lies further back matters less; the first page falls from 1 to little more than nothing.
        images_ = [listed(row, 0.0 if cursor else 1 - n / PAGE) for n, row in enumerate(finds.rows)]
        resources = images_ if cursor else [*FIXED, *images_]
        return types.ListResourcesResult(resources=resources, next_cursor=finds.next_cursor)

    async def read(self, uri: str, *, protocol_version: str) -> types.ReadResourceResult:
        """Give one resource as the protocol does, bytes as base64.

        Raises:
            MCPError: there is none of that address, or its file was changed or removed.
        """
        try:
            held = await studio_app.contents() if uri == studio_app.URI else await self.contents(uri)
        except ResultInvalid as invalid:
            raise MCPError(types.INTERNAL_ERROR, invalid.failure.message) from None
        except KontextError:
            held = None
        if held is None:
            modern = protocol_version in MODERN_PROTOCOL_VERSIONS
            code = types.INVALID_PARAMS if modern else NOT_FOUND_LEGACY
            data = {"uri": uri} if _PLAIN_URI.fullmatch(uri) else None
            raise MCPError(code, _NOT_THERE, data)
        return types.ReadResourceResult(contents=[held])

    async def contents(self, uri: str) -> studio_app.Contents | None:
        """Give what an address of `kontext://` holds as the protocol does; `None` where it is none.

        Raises:
            KontextError: what it names is not there, cannot be read, or was changed since it was kept.
        """
        content = await self._content(uri)
        return None if content is None else await _on_the_wire(content)

    async def content(self, uri: str) -> Content:
        """Give what one resource holds.

        Raises:
            NotFound: there is none of that address.
            UnknownRef: of an image that is not there.
            ResultInvalid: its file was changed or removed.
        """
        content = await self._content(uri)
        if content is None:
            raise NotFound(_NOT_THERE, fix="Take an address from resources/list or from an answer.")
        return content

    async def tag(self, uri: str) -> str | None:
        """Give what names the bytes behind an image's address and changes with them, without reading them.

        `None` for what is no picture. Raises `UnknownRef` of an image that is not there.
        """
        image = image_of(uri)
        if image is None or not image.is_picture:
            return None
        picture = await self._app.studio.picture(self._whose(), str(image.ref))
        return "-".join((picture.facts.sha256, image.form or "delivered"))

    async def _content(self, uri: str) -> Content | None:
        address, _, query = uri.partition("?")
        if address == IMAGES_URI:
            return await self._found(uri, query)
        if uri == JOBS_URI:
            views = await self._app.studio.jobs(self._whose(), limit=PAGE)
            return _json(uri, {"jobs": [self._listed_job(view) for view in views]})
        if uri == PROVIDERS_URI:
            return _json(uri, await self._providers())
        if uri == USAGE_URI:
            return _json(uri, answers.usage_fields(*await self._app.studio.usage(self._whose())))
        if uri == GUIDE_URI:
            return Content(uri=uri, media_type=MARKDOWN, data=GUIDE)
        if job_id := job_of(uri):
            return _json(uri, self._whole_job(await self._app.studio.job(self._whose(), job_id)))
        if image := image_of(uri):
            return await self._image(uri, image)
        return None

    async def _found(self, uri: str, query: str) -> Content | None:
        """Give a page of a search, as find_images gives it; for a view, which asks the reader of addresses alone."""
        arguments = looking.arguments_in(query)
        if arguments is None:
            return None
        search = replace(looking.search_of(arguments), provider=arguments["provider"])
        limit, cursor = arguments["limit"], arguments["cursor"]
        finds = await self._app.studio.find_images(self._whose(), search, limit=limit, cursor=cursor)
        fields = listings.finds_fields(search, finds)
        return _json(uri, {name: value for name, value in fields.items() if name != "next"})

    def _listed_job(self, view: View) -> dict[str, Any]:
        """Tell a job of the list, and by what a view knows it as that of a call which its host told it of."""
        prompt, digest = listings.prompt_of(view.job.edit.prompt), asked(view.job)
        told = {**answers.job_fields(view, self._app.places), **_made(view.job), "prompt": prompt}
        return told if digest is None else {**told, "asked": digest}

    def _whole_job(self, view: View) -> dict[str, Any]:
        arguments = {} if view.job.plan is not None else {"arguments": _arguments(view.job)}
        return {**answers.job_fields(view, self._app.places, full=True), **_made(view.job), **arguments}

    async def _providers(self) -> dict[str, Any]:
        party = await self._app.studio.party(self._whose())
        rows = provider_sheet.rows(party.offers.values())
        if party.page:
            rows = [{**row, "key": _key_of(row["provider"], party.own)} for row in rows]
        missing = f"enter a key of your own at {party.page}" if party.page else NOT_SHARED
        return {
            "auto": list(party.order),
            "providers": rows,
            "not_configured": {
                name: missing if name in party.withheld else f"set {variable}"
                for name, variable in KEY_VARIABLES.items()
                if name not in party.offers
            },
            **({"your_keys": party.page} if party.page else {}),
        }

    async def _image(self, uri: str, image: ImageUri) -> Content:
        ref, form = str(image.ref), image.form
        if form == "lineage":
            return _json(uri, listings.lineage_fields(await self._app.studio.lineage(self._whose(), ref)))
        if form == "meta":
            view = await self._app.studio.job(self._whose(), image.ref.job_id)
            fields = self._whole_job(view)
            await self._app.studio.image(self._whose(), ref)
            told = [*fields["images"], *answers.source_fields(view.job, self._app.places)]
            mine = next(one for one in told if one["ref"] == ref)
            return _json(uri, {**mine, "job": {name: fields[name] for name in fields if name != "images"}})
        if form == "thumb":
            return Content(uri=uri, media_type=WEBP, data=await self._app.studio.thumb(self._whose(), ref))
        if form == "preview":
            preview = await self._app.studio.preview_of(self._whose(), ref, PREVIEW_PX)
            return Content(uri=uri, media_type=JPEG, data=preview)
        data, media_type = await self._app.studio.image(self._whose(), ref)
        return Content(uri=uri, media_type=media_type, data=data)


def _key_of(provider: str, own: Collection[str]) -> str:
    """Tell somebody who signed in whose key serves them."""
    return "none" if provider == SANDBOX else "yours" if provider in own else "the operator's"


_NOT_THERE = "There is no resource of that address."
_NO_CURSOR = "That cursor is not one of this list."


def _made(job: Job) -> dict[str, str]:
    return {"tool": job.tool, "created_at": job.created_at.isoformat(timespec="seconds")}


def _arguments(job: Job) -> dict[str, Any]:
    """Give what its caller set that shapes the picture, by the tools' names, so that a variant can be asked for.

    The image is told by a reference of ours or not at all, never as it was given: that may be a path, an address
    with a signature, or the picture itself.
    """
    edit, source = job.edit, job.source
    image = None
    if source is not None:
        image = source.parent or (None if source.blob is None else str(Ref(job_id=job.id, n=0)))
    asked = {
        "prompt": edit.prompt,
        "image": image,
        **{name: value for name, value in edit.parameters().items() if name in edit.given},
        "provider": edit.provider if "provider" in edit.given and edit.provider != AUTO else None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _json(uri: str, data: dict[str, Any]) -> Content:
    return Content(uri=uri, media_type=JSON, data=json.dumps(data, ensure_ascii=False, indent=1))


async def _on_the_wire(content: Content) -> studio_app.Contents:
    data = content.data
    if isinstance(data, str):
        return types.TextResourceContents(uri=content.uri, text=data, mime_type=content.media_type)
    blob = await anyio.to_thread.run_sync(lambda: base64.b64encode(data).decode("ascii"))
    return types.BlobResourceContents(uri=content.uri, blob=blob, mime_type=content.media_type)

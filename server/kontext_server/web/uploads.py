"""The page that takes one picture, once: for a client's PUT, and for a person who chooses a file.

What this is: the one address that a refusal of a local path names (`kontext_tools.uploads`). Its words are 256 random
bits and open for an hour; what comes is bounded on its way, kept on the disk while it comes, proven and cleaned like
any input. What it is not: a proof of who sends it: the picture is its owner's who asked for the address, whoever
puts it there, and the page says so. Above: http. Below: plain_page, app.
"""

from __future__ import annotations

from html import escape

import anyio
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from kontext_server.app import App
from kontext_server.web import plain_page
from kontext_tools import uploads
from kontext_tools.errors import KontextError, NotFound, SourceTooLarge, SourceUnreadable
from kontext_tools.images import MAX_INPUT_BYTES, ImageFacts
from kontext_tools.uploads import Uploads

PATH = "/uploads"
FORM_BYTES = 16_384
"""What a form adds around its file."""
FIELD = "picture"
STATUSES: tuple[tuple[type[KontextError], int], ...] = ((NotFound, 404), (SourceTooLarge, 413), (SourceUnreadable, 400))
"""The first that a failure is; any other is the store's, and told as 503."""


def routes(app: App) -> list[Route]:
    """Give the page's route, with its own limit of a body; none where the app takes no uploads."""
    if app.uploads is None:
        return []
    limit = Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_INPUT_BYTES + FORM_BYTES)
    page = _Page(app, app.uploads)
    return [Route(f"{PATH}/{{words}}", page.served, methods=["GET", "PUT", "POST"], middleware=[limit])]


class _Page:
    def __init__(self, app: App, to: Uploads) -> None:
        self._app = app
        self._uploads = to

    async def served(self, request: Request) -> Response:
        words = request.path_params["words"]
        by_form = request.headers.get("content-type", "").startswith("multipart/form-data")
        shown = request.method in ("GET", "HEAD")
        html = by_form or shown
        try:
            if not await self._uploads.is_open(words):
                raise uploads.over()
            if shown:
                return _page(_FORM)
            data = await _chosen(request) if by_form else await self._received(request)
            facts = await self._uploads.take(words, data)
        except KontextError as error:
            return _refused(error, html=html)
        except ClientDisconnect:
            return Response(status_code=400)
        return _taken(self._uploads.address(words), facts, html=html)

    async def _received(self, request: Request) -> bytes:
        """Read a body by way of a temporary file that is removed; what breaks off or is too long is not kept."""
        path = anyio.Path(self._app.temporary())
        size = 0
        try:
            async with await path.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > MAX_INPUT_BYTES:
                        raise uploads.too_large()
                    await file.write(chunk)
            return await path.read_bytes()
        finally:
            await path.unlink(missing_ok=True)


async def _chosen(request: Request) -> bytes:
    """Read the file of a form; the library keeps what is longer than a megabyte on the disk while it comes."""
    try:
        async with request.form(max_files=1, max_fields=0) as form:
            file = form.get(FIELD)
            data = await file.read() if isinstance(file, UploadFile) else b""
    except MultiPartException:
        data = b""
    return data


_FORM = f"""<p>The picture goes to the person who asked for this address, and to nobody else. Choose one only if you
asked for it yourself.</p>
<form method="post" enctype="multipart/form-data">
<label for="{FIELD}">A picture (JPEG, PNG, WebP or GIF, 50 MB at most)</label>
<input id="{FIELD}" name="{FIELD}" type="file" accept="image/jpeg,image/png,image/webp,image/gif" required>
<button>Upload it</button>
</form>
<p class="soft">This works once. Where it was taken, and other facts that are not the picture, are removed.</p>"""


def _taken(address: str, facts: ImageFacts, *, html: bool) -> Response:
    if html:
        return _page(
            f"<p>Tell your assistant to go on: it knows the picture as</p><p><code>{escape(address)}</code></p>",
            good=f"{facts.width} x {facts.height} pixels are here.",
            status=201,
        )
    told = {
        "image": address,
        "width": facts.width,
        "height": facts.height,
        "media_type": facts.media_type,
        "bytes": facts.size_bytes,
        "next": f"Call again with image='{address}'.",
    }
    return JSONResponse(told, status_code=201, headers=dict(plain_page.AROUND))


def _refused(error: KontextError, *, html: bool) -> Response:
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 503)
    text = error.failure.message.replace("; nothing was sent.", ".")
    if html:
        return _page(_FORM if status in (400, 413) else "", bad=f"{text} {error.failure.fix}", status=status)
    return JSONResponse({"error": text}, status_code=status, headers=dict(plain_page.AROUND))


def _page(body: str, *, good: str = "", bad: str = "", status: int = 200) -> Response:
    html = plain_page.page("Upload a picture", body, good=good, bad=bad)
    return HTMLResponse(html, status_code=status, headers=dict(plain_page.AROUND))

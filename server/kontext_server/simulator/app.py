"""The simulator as an ASGI application: the wires, the files they hand out, and the controls under `/_sim`.

What this is: the table of wires and what they share. What it is not: a listening server (`serve`). Above:
`serve` and tests in process. Below: `wire` and one file for each vendor, `journal`, `state`.

    GET  /_sim/counter   creates charged, creates that came
    GET  /_sim/journal   every request
    GET  /_sim/jobs      every accepted create
    GET  /_sim/calls     every call that was made at a hook
    GET  /_sim/script    the faults that wait;  POST: one more, or a list of them (see `faults.Fault`)
    POST /_sim/reset     forget everything
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from kontext_server.simulator import answers, bfl, core_today, eachlabs, fal, replicate, runflow
from kontext_server.simulator.faults import BadScriptError, Fault
from kontext_server.simulator.journal import Recorder
from kontext_server.simulator.state import Job, State
from kontext_server.simulator.wire import Call, Wire, carry_out

WIRES: tuple[Wire, ...] = (
    core_today.WIRE,
    runflow.WIRE,
    eachlabs.WIRE,
    fal.WIRE,
    replicate.WIRE,
    replicate.KKIAI,
    bfl.WIRE,
)
"""Every wire that is spoken: to add one, write its file and its row here."""

_CONTROL = "/_sim"
_LOOPBACK = ["127.0.0.1", "localhost"]


def new_state(**settings: Any) -> State:
    """A fresh state for all the wires; settings as in `State` (clock, job_seconds, output_seconds)."""
    return State(wires=tuple(wire.name for wire in WIRES), **settings)


def build(state: State) -> ASGIApp:
    """The application over a state that the caller may look into."""
    routes: list[BaseRoute] = [Route("/_files/{name}", _file_endpoint(state)), _controls(state)]
    for wire in WIRES:
        routes += wire.routes(state)
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    return Recorder(app, state.journal, state.clock, silent=_CONTROL + "/")


def settings(root: str, *wires: str) -> dict[str, str]:
    """The environment that points a server at every wire, or at those named, given `http://127.0.0.1:9876`."""
    by_name = {wire.name: wire for wire in WIRES}
    return {name: value for asked in wires or by_name for name, value in by_name[asked].settings(root).items()}


def _file_endpoint(state: State) -> Callable[[Request], Any]:
    by_name = {wire.name: wire for wire in WIRES}

    async def endpoint(request: Request) -> Response:
        file = state.files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)

        async def answer(call: Call) -> Response:
            signed = request.query_params.get("Signature", "") == file.signature
            if not signed or call.now >= file.expires_at:
                return answers.expired()
            return Response(await anyio.to_thread.run_sync(file.read), media_type=file.media_type)

        return await carry_out(by_name[file.wire], "file", answer, state, request)

    return endpoint


async def _refused(request: Request, error: Exception) -> Response:
    """A path or method that no wire has, said in the dialect of the wire under whose prefix it is."""
    refusal = cast("HTTPException", error)
    for wire in WIRES:
        if request.url.path.startswith(wire.prefix + "/"):
            if not wire.lets_in(request):
                return wire.turn_away()
            return wire.refuse(refusal.status_code, refusal.detail)
    return PlainTextResponse(refusal.detail, refusal.status_code)


def _controls(state: State) -> Mount:
    async def counter(_: Request) -> Response:
        return JSONResponse(state.counter())

    async def journal(_: Request) -> Response:
        entries = [dataclasses.asdict(entry) for entry in state.journal.entries()]
        return JSONResponse({"requests": entries, "dropped": state.journal.dropped})

    async def jobs(_: Request) -> Response:
        return JSONResponse({"jobs": [_told(job, state.clock()) for job in list(state.jobs.values())]})

    async def calls(_: Request) -> Response:
        return JSONResponse({"calls": [dataclasses.asdict(one) for one in list(state.called)]})

    async def waiting(_: Request) -> Response:
        return JSONResponse({"faults": [fault.model_dump(exclude_defaults=True) for fault in state.faults.waiting()]})

    async def script(request: Request) -> Response:
        try:
            sent: object = json.loads(await request.body())
            return JSONResponse({"waiting": state.script(*_script(sent))})
        except ValueError as error:
            return JSONResponse({"detail": str(error)}, 422)

    async def reset(_: Request) -> Response:
        state.reset()
        return JSONResponse(state.counter())

    return Mount(
        _CONTROL,
        routes=[
            Route("/counter", counter),
            Route("/journal", journal),
            Route("/jobs", jobs),
            Route("/calls", calls),
            Route("/script", waiting),
            Route("/script", script, methods=["POST"]),
            Route("/reset", reset, methods=["POST"]),
        ],
        # The journal holds whatever keys were sent: no page in a browser may reach it by a name of its own.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_LOOPBACK)],
    )


def _script(sent: object) -> list[Fault | Mapping[str, Any]]:
    faults = cast("list[object]", sent) if isinstance(sent, list) else [sent]
    for fault in faults:
        if not isinstance(fault, dict):
            raise BadScriptError("a script is an object, or a list of objects")
    return cast("list[Fault | Mapping[str, Any]]", faults)


def _told(job: Job, now: float) -> dict[str, Any]:
    return {
        "id": job.id,
        "wire": job.wire,
        "phase": job.phase(now),
        "model": job.model,
        "input": job.input,
        "asked": job.asked,
        "created_at": job.created_at,
    }

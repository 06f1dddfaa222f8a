"""What every wire is made of: its operations, its key, its words for a refusal, and the way a request goes.

What this is: the frame that a vendor's file fills in, so that keys, scripted faults, the count of creates and
refusals work alike on all of them. What it is not: any vendor's. Above: one file for each vendor, `app`.
Below: `answers`, `faults`, `state`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kontext_server.simulator import answers
from kontext_server.simulator.faults import Fault, On
from kontext_server.simulator.state import State

JsonObject = dict[str, Any]


class RefusedError(Exception):
    """A request that the vendor would refuse: the HTTP status and the words for it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request on its way through a wire.

    Attributes:
        state: what the simulator knows.
        request: as it came.
        body: its bytes, read whole.
        fault: what a script has for it.
    """

    state: State
    request: Request
    body: bytes
    fault: Fault

    @property
    def root(self) -> str:
        """The simulator's own address as the client wrote it, `http://127.0.0.1:9876`."""
        return str(self.request.base_url).rstrip("/")

    @property
    def now(self) -> float:
        """Seconds of the simulator's clock."""
        return self.state.clock()


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path.

    Attributes:
        on: what it is to a script.
        method: upper case.
        path: below the wire's prefix, in Starlette's notation.
        handler: answers, or raises RefusedError.
        keyless: whether it is let in without a key (a presigned address).
    """

    on: On
    method: str
    path: str
    handler: Handler
    keyless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One vendor's API.

    Attributes:
        name: as in scripts and in the counter, `core.today`.
        prefix: what its paths begin with here, `/core.today/v1`.
        base_variable: the setting that names its base address.
        key_variable: the setting that holds its key.
        sample_key: a key that it takes.
        read_key: the key in a request's headers; empty without one.
        takes_key: whether it would let that key in.
        refuse: an error in its dialect, from status and words.
        operations: everything that it answers.
        no_key: the HTTP status for a request without a key that it takes.
        words: its own for an HTTP status, where a script gives none.
    """

    name: str
    prefix: str
    base_variable: str
    key_variable: str
    sample_key: str
    read_key: Callable[[Headers], str]
    takes_key: Callable[[str], bool]
    refuse: Callable[[int, str], Response]
    operations: tuple[Operation, ...]
    no_key: int = 401
    words: Mapping[int, str] = field(default_factory=dict[int, str])

    def settings(self, root: str) -> dict[str, str]:
        """The environment that points a server at this wire, given `http://127.0.0.1:9876`."""
        return {self.base_variable: root + self.prefix, self.key_variable: self.sample_key}

    def lets_in(self, request: Request) -> bool:
        """Whether a request brings a key that the vendor would take."""
        return self.takes_key(self.read_key(request.headers))

    def turn_away(self) -> Response:
        """What it says to a request without a key that it takes."""
        return self.refuse(self.no_key, self.words.get(self.no_key, "Invalid or missing API key"))

    def routes(self, state: State) -> list[Route]:
        """Its operations as Starlette's routes."""
        return [
            Route(self.prefix + operation.path, self._endpoint(state, operation), methods=[operation.method])
            for operation in self.operations
        ]

    def _endpoint(self, state: State, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not operation.keyless and not self.lets_in(request):
                return self.turn_away()
            return await carry_out(self, operation.on, operation.handler, state, request)

        return endpoint


async def carry_out(wire: Wire, on: On, handler: Handler, state: State, request: Request) -> Response:
    """Answer a request that was let in: the scripted fault first, then the handler, then the fault again."""
    body = await request.body()
    if on == "create":
        state.creates[wire.name] += 1
    fault = state.faults.take(wire.name, on, _address(request), body)
    call = Call(state=state, request=request, body=body, fault=fault)
    if not fault.carried_out:
        return _instead(wire, call)
    try:
        answer = await handler(call)
    except RefusedError as refused:
        answer = wire.refuse(refused.status, refused.text)
    if fault.replaces:
        return _instead(wire, call)
    return answers.altered(fault, answer)


def _instead(wire: Wire, call: Call) -> Response:
    key = wire.read_key(call.request.headers)
    return answers.instead(call.fault, refuse=wire.refuse, words=wire.words, key=key, now=call.now)


def _address(request: Request) -> str:
    """Path and query: a job's id may stand in either."""
    return f"{request.url.path}?{request.url.query}"

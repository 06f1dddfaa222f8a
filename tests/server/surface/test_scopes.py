"""What a token allows, and who it says a caller is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import mcp_types as types
import pytest
from inline_snapshot import snapshot
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.shared.exceptions import MCPError

from kontext_server.app import LOCAL_OWNER
from kontext_server.surface.asking import owner, whose
from kontext_server.surface.scopes import gate, needed

pytestmark = pytest.mark.anyio


def signed_in(*scopes: str) -> AuthenticatedUser:
    return AuthenticatedUser(
        AccessToken(token="", client_id="c", scopes=list(scopes), subject="alice", claims={"iss": "tokens"})
    )


def test_each_tool_and_method_needs_one_scope_or_none() -> None:
    tools = ("edit_image", "generate_image", "run_plan", "cancel_job", "get_status", "find_images", "view_images", "x")
    assert {tool: needed("tools/call", {"name": tool}) for tool in tools} == snapshot(
        {
            "edit_image": "images:edit",
            "generate_image": "images:edit",
            "run_plan": "images:edit",
            "cancel_job": "jobs:cancel",
            "get_status": "images:read",
            "find_images": "images:read",
            "view_images": "images:read",
            "x": "images:read",
        }
    )
    methods = (
        "initialize",
        "server/discover",
        "tools/list",
        "prompts/get",
        "tasks/update",
        "tasks/cancel",
        "tasks/get",
    )
    assert [needed(method, None) for method in methods] == [None] * 4 + ["images:edit", "jobs:cancel", "images:read"]
    assert needed("tools/call", {"name": ["edit_image"]}) == "images:read"


async def test_no_handler_is_reached_without_its_scope_whatever_came_before() -> None:
    reached: list[str] = []

    async def ask(method: str, request_id: int | None = 1, **params: Any) -> None:
        async def handler(_: object) -> None:
            reached.append(method)

        ctx = SimpleNamespace(method=method, params=params, request_id=request_id)
        await gate(cast("Any", ctx), handler)

    token = auth_context_var.set(signed_in("images:edit"))
    try:
        await ask("tools/call", name="edit_image")
        await ask("tools/list")
        await ask("notifications/initialized", None)
        with pytest.raises(MCPError) as caught:
            await ask("resources/list")
    finally:
        auth_context_var.reset(token)
    assert (caught.value.error.code, caught.value.error.message) == (
        types.INVALID_REQUEST,
        "The token lacks the scope images:read",
    )
    assert reached == ["tools/call", "tools/list"]
    await ask("resources/list")
    assert reached[-1] == "resources/list"


def test_an_owner_is_the_pair_of_issuer_and_subject() -> None:
    assert whose() == LOCAL_OWNER
    token = auth_context_var.set(signed_in())
    try:
        assert whose() == owner("tokens", "alice") == snapshot("16dfa20b15965aeabdd439c12a1650eab9e3dd58")
    finally:
        auth_context_var.reset(token)
    pairs = [("tokens", "alice"), ("tokens ", "alice"), ("tokens", " alice"), ("https://i.example", "alice")]
    assert len({owner(*pair) for pair in [*pairs, ("token", "salice"), ('tokens", "a', "lice")]}) == 6

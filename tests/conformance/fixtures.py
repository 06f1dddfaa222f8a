"""What the official conformance suite expects to find on a server: its tools, resources and prompts, by their names.

Where a verb of ours does what the suite looks for, the fixture is that verb under the suite's name, so that our own
code answers: a picture and progress come of a generation in the sandbox, an error of a job that is not there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import PromptsListChanged, ServerEvent, ToolsListChanged
from mcp.shared.exceptions import MCPError

Context = ServerRequestContext[Any, Any]
ToolResult = types.CallToolResult | types.InputRequiredResult
PromptResult = types.GetPromptResult | types.InputRequiredResult
CallOurs = Callable[[str, Mapping[str, Any]], Awaitable[ToolResult]]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = base64.b64encode(b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\0\0\0\0").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a fixture.

    Attributes:
        ctx: the request's.
        arguments: as sent.
        responses: what the client answered to the questions of the round before.
        state: what came back with them, unsealed by our server's boundary.
        ours: calls one of our own tools within this request.
        publish: tells all who listen to our notices.
    """

    ctx: Context
    arguments: Mapping[str, Any]
    responses: Mapping[str, Any]
    state: str | None
    ours: CallOurs
    publish: Callable[[ServerEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A fixture tool."""

    does: Callable[[Call], Awaitable[ToolResult]]
    schema: Mapping[str, Any] = field(default_factory=dict[str, Any])


def said(text: str) -> types.CallToolResult:
    """Give an answer of one text."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


def asks(message: str, properties: Mapping[str, Any]) -> types.ElicitRequest:
    """Give a question by form, whose every field must be filled in."""
    schema = {"type": "object", "properties": dict(properties), "required": list(properties)}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def samples(text: str, max_tokens: int) -> types.CreateMessageRequest:
    """Give a question to the client's model."""
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


NAME = asks("What is your name?", {"name": {"type": "string"}})


def told(answer: object, name: str) -> Any:
    """Give a field of an accepted form; `None` where it is none or has not that field."""
    if not isinstance(answer, types.ElicitResult) or answer.action != "accept":
        return None
    return (answer.content or {}).get(name)


async def _simple_text(call: Call) -> ToolResult:
    return await call.ours("generate_image", {"prompt": "a red lake", "dry_run": True})


async def _picture(call: Call) -> ToolResult:
    return await call.ours("generate_image", {"prompt": "a red lake"})


async def _progress(call: Call) -> ToolResult:
    # Without joining: each call shall have a job of its own to tell of.
    key = f"progress {call.ctx.request_id} {anyio.current_time()}"
    return await call.ours("generate_image", {"prompt": "a red lake", "num_images": 2, "request_key": key})


async def _error(call: Call) -> ToolResult:
    return await call.ours("get_status", {"job_id": "no-such-job-4k7q"})


async def _audio(_: Call) -> ToolResult:
    return types.CallToolResult(content=[types.AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")])


def _embedded(uri: str, text: str, media_type: str) -> types.EmbeddedResource:
    resource = types.TextResourceContents(uri=uri, text=text, mime_type=media_type)
    return types.EmbeddedResource(type="resource", resource=resource)


async def _resource(_: Call) -> ToolResult:
    text = "This is an embedded resource content."
    return types.CallToolResult(content=[_embedded("test://embedded-resource", text, "text/plain")])


async def _mixed(call: Call) -> ToolResult:
    made = await _picture(call)
    assert isinstance(made, types.CallToolResult)
    data = json.dumps({"test": "data", "value": 123})
    made.content.append(_embedded("test://mixed-content-resource", data, "application/json"))
    return made


async def _elicit(call: Call, message: str, properties: Mapping[str, Any]) -> ToolResult:
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    answer = await call.ctx.session.elicit_form(message, schema, related_request_id=call.ctx.request_id)
    return said(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")


async def _elicitation(call: Call) -> ToolResult:
    text = {"type": "string", "description": "As the person says."}
    return await _elicit(call, str(call.arguments["message"]), {"username": text, "email": text})


async def _defaults(call: Call) -> ToolResult:
    return await _elicit(
        call,
        "Please look through these.",
        {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": True},
        },
    )


async def _enums(call: Call) -> ToolResult:
    plain = {"type": "string", "enum": ["option1", "option2", "option3"]}
    titled = [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]
    return await _elicit(
        call,
        "Please choose.",
        {
            "untitledSingle": plain,
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
            "untitledMulti": {"type": "array", "items": plain},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
    )


async def _ask_name(call: Call) -> ToolResult:
    name = told(call.responses.get("user_name"), "name")
    if not isinstance(name, str):
        return types.InputRequiredResult(input_requests={"user_name": NAME})
    return said(f"Hello, {name}!")


async def _ask_model(call: Call) -> ToolResult:
    answer = call.responses.get("capital_question")
    if not isinstance(answer, types.CreateMessageResult):
        question = samples("What is the capital of France?", 100)
        return types.InputRequiredResult(input_requests={"capital_question": question})
    return said(f"The model said: {answer.content}")


async def _ask_roots(call: Call) -> ToolResult:
    answer = call.responses.get("client_roots")
    if not isinstance(answer, types.ListRootsResult):
        return types.InputRequiredResult(input_requests={"client_roots": types.ListRootsRequest()})
    return said("Roots: " + ", ".join(str(root.uri) for root in answer.roots))


async def _ask_with_state(call: Call) -> ToolResult:
    if call.state != "asked" or told(call.responses.get("confirm"), "ok") is not True:
        question = asks("Please confirm", {"ok": {"type": "boolean"}})
        return types.InputRequiredResult(input_requests={"confirm": question}, request_state="asked")
    return said("state-ok")


async def _ask_much(call: Call) -> ToolResult:
    questions: dict[str, Any] = {
        "user_name": NAME,
        "greeting": samples("Generate a greeting", 50),
        "client_roots": types.ListRootsRequest(),
    }
    if call.state != "asked" or not questions.keys() <= call.responses.keys():
        return types.InputRequiredResult(input_requests=questions, request_state="asked")
    return said("All is answered.")


async def _ask_twice(call: Call) -> ToolResult:
    if call.state == "2" and "step2" in call.responses:
        return said("Both steps are done.")
    if call.state in ("1", "2") and "step1" in call.responses:
        question = asks("Step 2: What is your favorite color?", {"color": {"type": "string"}})
        return types.InputRequiredResult(input_requests={"step2": question}, request_state="2")
    question = asks("Step 1: What is your name?", {"name": {"type": "string"}})
    return types.InputRequiredResult(input_requests={"step1": question}, request_state="1")


async def _ask_what_can_be_asked(call: Call) -> ToolResult:
    declared = call.ctx.session.client_capabilities
    questions: dict[str, Any] = {}
    if declared is not None and declared.elicitation is not None:
        questions["user_name"] = NAME
    if declared is not None and declared.sampling is not None:
        questions["greeting"] = samples("Generate a greeting", 50)
    return types.InputRequiredResult(input_requests=questions) if questions else said("There is nothing to ask by.")


async def _missing_capability(call: Call) -> ToolResult:
    declared = call.ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "This needs a client that samples.", data)
    return said("The client samples.")


async def _silent(_: Call) -> ToolResult:
    """Say nothing on the side: we have no log messages to clients, which are deprecated."""
    return said("Done.")


async def _change_tools(call: Call) -> ToolResult:
    await call.publish(ToolsListChanged())
    return said("The list of tools is said to have changed.")


async def _change_prompts(call: Call) -> ToolResult:
    await call.publish(PromptsListChanged())
    return said("The list of prompts is said to have changed.")


_MESSAGE: Mapping[str, Any] = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}

TOOLS: Mapping[str, Tool] = {
    "test_simple_text": Tool(does=_simple_text),
    "test_image_content": Tool(does=_picture),
    "test_tool_with_progress": Tool(does=_progress),
    "test_error_handling": Tool(does=_error),
    "test_audio_content": Tool(does=_audio),
    "test_embedded_resource": Tool(does=_resource),
    "test_multiple_content_types": Tool(does=_mixed),
    "test_elicitation": Tool(does=_elicitation, schema=_MESSAGE),
    "test_elicitation_sep1034_defaults": Tool(does=_defaults),
    "test_elicitation_sep1330_enums": Tool(does=_enums),
    "test_input_required_result_elicitation": Tool(does=_ask_name),
    "test_input_required_result_sampling": Tool(does=_ask_model),
    "test_input_required_result_list_roots": Tool(does=_ask_roots),
    "test_input_required_result_request_state": Tool(does=_ask_with_state),
    "test_input_required_result_tampered_state": Tool(does=_ask_with_state),
    "test_input_required_result_multiple_inputs": Tool(does=_ask_much),
    "test_input_required_result_multi_round": Tool(does=_ask_twice),
    "test_input_required_result_capabilities": Tool(does=_ask_what_can_be_asked),
    "test_streaming_elicitation": Tool(does=_ask_name),
    "test_missing_capability": Tool(does=_missing_capability),
    "test_logging_tool": Tool(does=_silent),
    "test_trigger_tool_change": Tool(does=_change_tools),
    "test_trigger_prompt_change": Tool(does=_change_prompts),
}
"""By name. Of the tasks scenarios, which need our tasks extension, these are missing: greet, slow_compute,
failing_job, protocol_error_job, confirm_delete, multi_input, test_tool_with_task."""

RESOURCES: Mapping[str, types.TextResourceContents | types.BlobResourceContents] = {
    "test://static-text": types.TextResourceContents(
        uri="test://static-text", text="This is the content of the static text resource.", mime_type="text/plain"
    ),
    "test://static-binary": types.BlobResourceContents(uri="test://static-binary", blob=PIXEL, mime_type="image/png"),
    "test://watched-resource": types.TextResourceContents(
        uri="test://watched-resource", text="It stays as it is.", mime_type="text/plain"
    ),
}
TEMPLATE = types.ResourceTemplate(
    name="data", uri_template="test://template/{id}/data", description="The suite's template.", mime_type="text/plain"
)


def templated(uri: str) -> types.TextResourceContents | None:
    """Give what the template stands for; `None` for another address."""
    number = uri.removeprefix("test://template/").removesuffix("/data")
    if uri != f"test://template/{number}/data" or "/" in number:
        return None
    text = json.dumps({"id": number, "templateTest": True})
    return types.TextResourceContents(uri=uri, text=text, mime_type="application/json")


def _messages(*contents: types.ContentBlock) -> types.GetPromptResult:
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=block) for block in contents])


def prompt(name: str, arguments: Mapping[str, str], responses: Mapping[str, Any]) -> PromptResult:
    """Give one of the suite's prompts."""
    if name == "test_prompt_with_embedded_resource":
        return _messages(_embedded(arguments["resourceUri"], "Embedded resource content for testing.", "text/plain"))
    if name == "test_prompt_with_image":
        return _messages(types.ImageContent(type="image", data=PIXEL, mime_type="image/png"))
    if name == "test_input_required_result_prompt" and "user_context" not in responses:
        question = asks("What context should the prompt use?", {"context": {"type": "string"}})
        return types.InputRequiredResult(input_requests={"user_context": question})
    words = ", ".join(f"{key}='{value}'" for key, value in arguments.items())
    return _messages(types.TextContent(type="text", text=f"Prompt with arguments: {words}"))


PROMPTS: Mapping[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
"""Arguments by the prompt's name."""


def listed_tools() -> list[types.Tool]:
    """Give the tools as `tools/list` tells them."""
    nothing: dict[str, Any] = {"type": "object", "properties": {}}
    return [
        types.Tool(name=name, description="Of the conformance suite.", input_schema=dict(tool.schema) or nothing)
        for name, tool in TOOLS.items()
    ]


def listed_prompts() -> list[types.Prompt]:
    """Give the prompts as `prompts/list` tells them."""
    return [
        types.Prompt(
            name=name,
            description="Of the conformance suite.",
            arguments=[types.PromptArgument(name=argument, required=True) for argument in arguments],
        )
        for name, arguments in PROMPTS.items()
    ]


def listed_resources() -> list[types.Resource]:
    """Give the resources as `resources/list` tells them."""
    return [
        types.Resource(name=uri, uri=uri, description="Of the conformance suite.", mime_type=contents.mime_type)
        for uri, contents in RESOURCES.items()
    ]

"""The tools that make jobs: each with its words, its arguments, its verb and its answer in one place.

What this is: what a model chooses from and what happens when it does. What it is not: the tools that only read images
(`looking`), the reading of arguments (`reading`), the shapes of answers (`answers`) or the work
(`kontext_tools.studio`). Above: server. Below: looking, asking, studio.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import mcp_types as types

from kontext_server.app import App
from kontext_server.surface import answers, looking, parameters, plan_parameters, studio_app
from kontext_server.surface.arguments import Arguments, Parameter
from kontext_server.surface.asking import Caller
from kontext_server.surface.failures import error_result
from kontext_server.surface.reading import read
from kontext_server.surface.tool import MAX_ANSWER_BYTES, Start, Tool, Verb, result, tool
from kontext_tools.errors import InvalidArgument, KontextError
from kontext_tools.views import Call, Quote, View

MAX_PREVIEW_BYTES = 450_000
"""Of a picture at most, and less beside long texts; base64 adds a third."""
MIN_PREVIEW_PX = 64


class Tools:
    """The tools of one app; made once, the same bytes for the same settings."""

    def __init__(self, app: App) -> None:
        self._app = app
        made = (self._edit_image(), self._generate_image(), self._get_status(), self._cancel_job())
        every = (*made, *looking.tools(app), self._run_plan())
        self._tools: Mapping[str, Tool] = {one.spec.name: studio_app.shown(one) for one in every}

    @property
    def specs(self) -> list[types.Tool]:
        """What `tools/list` gives."""
        return [one.spec for one in self._tools.values()]

    async def call(
        self, name: str, raw: Mapping[str, Any] | None, caller: Caller
    ) -> types.CallToolResult | types.InputRequiredResult:
        """Serve one call; a foreseen failure becomes an answer that teaches, a question may come first."""
        try:
            called, arguments = self.asked(name, raw)
            return await caller.served(lambda call: called.verb(arguments, call))
        except KontextError as error:
            return error_result(error.failure)

    def asked(self, name: str, raw: Mapping[str, Any] | None) -> tuple[Tool, Arguments]:
        """Read what a call asks for. Raises `InvalidArgument`."""
        tool = self._tools.get(name)
        if tool is None:
            raise InvalidArgument("There is no tool of that name.", fix=f"Call one of: {', '.join(self._tools)}.")
        return tool, read(tool.parameters, raw)

    def _edit_image(self) -> Tool:
        async def starts(arguments: Arguments, call: Call) -> View | Quote:
            return await self._app.studio.edit_image(parameters.edit_of(arguments), _call(arguments, call))

        return self._starting(
            starts,
            "edit_image",
            "Edit an image",
            "Change one picture by words with FLUX.1 Kontext. Costs money unless the sandbox serves; dry_run tells the "
            "price. Say one or two concrete changes; name in keep what must stay. Answers with a reference "
            "(red-car-4k7q/1): pass it as image for the next edit. Never describe what you cannot see.",
            parameters.edit_image(self._app.offers, self._app.settings.kontext_wait_seconds),
        )

    def _generate_image(self) -> Tool:
        async def starts(arguments: Arguments, call: Call) -> View | Quote:
            return await self._app.studio.generate_image(parameters.edit_of(arguments), _call(arguments, call))

        return self._starting(
            starts,
            "generate_image",
            "Generate an image",
            "Make a picture from words alone. Costs money unless the sandbox serves; dry_run tells the price. "
            "Answers with a reference that edit_image takes as image.",
            parameters.generate_image(self._app.offers, self._app.settings.kontext_wait_seconds),
        )

    def _get_status(self) -> Tool:
        async def verb(arguments: Arguments, call: Call) -> types.CallToolResult:
            waiting = replace(call, wait_s=arguments["wait_seconds"])
            view = await self._app.studio.get_status(arguments["job_id"], waiting)
            return await self._told(view, full=arguments["detail"] == "full")

        return _tool(
            "get_status",
            "Get a job's status",
            "Tell how a job stands, with its images once done. Use wait_seconds, not a loop.",
            parameters.get_status(),
            types.ToolAnnotations(
                read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
            ),
            verb,
        )

    def _cancel_job(self) -> Tool:
        async def verb(arguments: Arguments, call: Call) -> types.CallToolResult:
            view, outcome = await self._app.studio.cancel_job(arguments["job_id"], call)
            fields = answers.job_fields(view, self._app.places) | {"outcome": outcome}
            text = f"Outcome: {outcome}. {answers.job_text(view, self._app.places)}"
            return result(text, fields)

        return _tool(
            "cancel_job",
            "Cancel a job",
            "Stop a job. Where the provider cannot, it goes on, is charged, and its result is kept.",
            parameters.cancel_job(),
            types.ToolAnnotations(
                read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
            ),
            verb,
        )

    def _run_plan(self) -> Tool:
        async def starts(arguments: Arguments, call: Call) -> View | Quote:
            waiting = replace(call, wait_s=arguments["wait_seconds"], dry_run=arguments["dry_run"])
            return await self._app.studio.run_plan(plan_parameters.plan_of(arguments), waiting)

        return self._starting(
            starts,
            "run_plan",
            "Run a plan of edits",
            "Up to 20 edits in one call: batches, fan-outs, known recipes. To look after each, call edit_image "
            "instead. What starts from a failed step is skipped, the rest goes on. Each picture is paid.",
            plan_parameters.run_plan(self._app.settings.kontext_wait_seconds),
        )

    def _starting(
        self, starts: Start, name: str, title: str, description: str, parameters_: Sequence[Parameter]
    ) -> Tool:
        """Give a tool whose calls are jobs."""

        async def verb(arguments: Arguments, call: Call) -> types.CallToolResult:
            return await self.made(await starts(arguments, call))

        hints = types.ToolAnnotations(
            read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
        )
        return replace(_tool(name, title, description, parameters_, hints, verb), starts=starts)

    async def made(self, made: View | Quote) -> types.CallToolResult:
        """Answer an edit or a generation: it failed where its job ended without an image, or waits for disk space."""
        if isinstance(made, Quote):
            return result(answers.quote_text(made), answers.quote_fields(made))
        failure = answers.failure_of(made.job)
        if failure is not None:
            return error_result(failure, answers.job_fields(made, self._app.places))
        return await self._told(made)

    async def _told(self, view: View, *, full: bool = False) -> types.CallToolResult:
        places = self._app.places
        told = result(answers.job_text(view, places, full=full), answers.job_fields(view, places, full=full))
        if view.job.status.ended:
            left = MAX_ANSWER_BYTES - len(told.model_dump_json(by_alias=True).encode())
            told.content.extend(await self._picture(view, most_bytes=min(MAX_PREVIEW_BYTES, left * 3 // 4)))
        if self._app.settings.kontext_resource_links:
            told.content.extend(_link(image) for image in answers.job_fields(view, places)["images"])
        return told

    async def _picture(self, view: View, *, most_bytes: int) -> list[types.ImageContent]:
        longest_px = self._app.settings.preview_px
        try:
            while True:
                if longest_px < MIN_PREVIEW_PX:
                    return []
                jpeg = await self._app.studio.preview(view.job, longest_px)
                if jpeg is None:
                    return []
                if len(jpeg) <= most_bytes:
                    break
                longest_px = longest_px * 3 // 4
        except KontextError:
            # A file that was changed or removed since is not shown; its reference says so when it is read.
            return []
        data = base64.b64encode(jpeg).decode("ascii")
        return [types.ImageContent(type="image", data=data, mime_type="image/jpeg")]


def _tool(
    name: str,
    title: str,
    description: str,
    parameters_: Sequence[Parameter],
    annotations: types.ToolAnnotations,
    verb: Verb,
) -> Tool:
    return tool(name, title, description, parameters_, annotations, verb, answers=answers.fields_of(name))


def _link(image: dict[str, Any]) -> types.ResourceLink:
    """Give one image as a link: off by default, for it ends agent runs on some hosts (DESIGN.md section 5)."""
    return types.ResourceLink(
        type="resource_link", name=image["ref"], uri=image["uri"], mime_type=image["media_type"], size=image["bytes"]
    )


def _call(arguments: Arguments, call: Call) -> Call:
    return replace(
        call,
        wait_s=arguments["wait_seconds"],
        dry_run=arguments["dry_run"],
        request_key=arguments["request_key"],
    )

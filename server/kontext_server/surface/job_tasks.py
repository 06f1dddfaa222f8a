"""A job as a task: the tools whose calls are jobs, for a client that takes tasks.

What this is: the kind of task that stands for a job, or for a question that a person has to answer before there is
one. What it is not: the extension (`tasks`) or the tools (`tools`). Above: server. Below: tasks, tools, asking.

`wait_seconds` is the model's own word on how it wants to be answered, and goes before what its host can do: 0 is
answered at once with the job's id, as to any client (a task would let the host wait for each of five edits that the
model means to start together); another number that was set waits so long for the answer itself, and only what has not
ended then becomes a task; not set, the call is a task as soon as its job is recorded.

A question becomes a task in `input_required`, where the client shows forms: it outlives the connection and the process,
which a sealed question (`asking`) does not. Its row holds the call and no job exists; the yes buys the job exactly as
elsewhere, its nonce burnt in the same transaction, and the row finds that job by the nonce even where the process died
right after. A no completes the task with `confirmation_needed`: a cancelled task has no result, and the model has to
read that nothing was sent and what to do. What is refused after a yes completes it as well, as the tool would answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from kontext_server.app import App
from kontext_server.surface import answers
from kontext_server.surface.arguments import Arguments
from kontext_server.surface.asking import CONFIRM, Caller, agreed, form_of
from kontext_server.surface.failures import error_result
from kontext_server.surface.tasks import CreatedTask, Standing, Status, created
from kontext_server.surface.tools import Tool, Tools
from kontext_tools.errors import ConfirmationNeeded, KontextError, StorageBusy, StorageDamaged, StorageFull
from kontext_tools.jobs import JobStatus
from kontext_tools.questions import Question, Yes
from kontext_tools.stores.tasks import Task
from kontext_tools.views import Call, Quote, View

KIND = "job"
WAIT = "wait_seconds"

Answer = types.CallToolResult | types.InputRequiredResult | CreatedTask

JOB, JOINED, ASKED, ENDED, CANCELLED = "job", "joined", "asked", "ended", "cancelled"
"""What a row's document holds: a job's id and whether it was joined; a call and its question; an answer; an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call that waits for a person's yes.

    Attributes:
        tool: its name.
        arguments: those that were set, a picture's bytes kept aside.
        question: what the person is asked.
        nth: how many questions this task has asked, with this one.
    """

    tool: str
    arguments: Mapping[str, Any]
    question: Question
    nth: int = 1

    @property
    def key(self) -> str:
        """The question's key among the task's, never used for another one."""
        return CONFIRM if self.nth == 1 else f"{CONFIRM}-{self.nth}"

    def doc(self) -> dict[str, Any]:
        """Give the row's document."""
        return {ASKED: asdict(self)}

    @classmethod
    def of(cls, task: Task) -> Asked | None:
        """Read it from a task's row; `None` where it does not ask."""
        data: dict[str, Any] | None = task.doc.get(ASKED)
        if data is None:
            return None
        question: dict[str, Any] = {**data["question"], "yes": Yes(**data["question"]["yes"])}
        fields: dict[str, Any] = {**data, "question": Question(**question)}
        return cls(**fields)


class JobTasks:
    """The tasks that are jobs. See `tasks.Kind` for what they are asked."""

    def __init__(self, app: App, tools: Tools) -> None:
        self._tasks = app.tasks
        self._studio = app.studio
        self._tools = tools

    async def call(self, name: str, raw: Mapping[str, Any] | None, caller: Caller) -> Answer:
        """Serve one call of a client that takes tasks."""
        try:
            tool, arguments = self._tools.asked(name, raw)
            at_once = WAIT in arguments.given and not arguments[WAIT]
            if tool.starts is None or at_once:
                return await caller.served(lambda call: tool.verb(arguments, call))
            return await caller.keyed(lambda: self._started(tool, arguments, caller))
        except KontextError as error:
            return error_result(error.failure)

    async def standing(self, task: Task) -> Standing:
        """Tell how a task stands."""
        asked = Asked.of(task)
        job_id = task.doc.get(JOB) if asked is None else await self._tasks.bought(task.owner, asked.question.yes)
        if job_id is not None:
            return await self._of_job(task, job_id)
        if asked is not None:
            asks = {asked.key: form_of(asked.question)}
            return Standing(status=Status.INPUT_REQUIRED, message="A person is asked first.", asks=asks)
        if CANCELLED in task.doc:
            return Standing(status=Status.CANCELLED, message="Cancelled before anything was sent.")
        return Standing(status=Status.COMPLETED, result=types.CallToolResult.model_validate(task.doc[ENDED]))

    async def answered(self, task: Task, answers: Mapping[str, Any]) -> None:
        """Take a person's answer: the yes makes the job."""
        asked = Asked.of(task)
        if asked is None or asked.key not in answers:
            return
        try:
            answer = types.ElicitResult.model_validate(answers[asked.key])
        except ValidationError:
            raise MCPError(types.INVALID_PARAMS, f"The answer to {asked.key} is not a form's") from None
        if await self._tasks.bought(task.owner, asked.question.yes) is None:
            await self._become(task, await self._done(task.owner, asked, answer))

    async def cancelled(self, task: Task) -> None:
        """End the question, or cancel the job."""
        asked = Asked.of(task)
        job_id = task.doc.get(JOB)
        if asked is not None:
            job_id = await self._tasks.bought(task.owner, asked.question.yes)
            if job_id is None and await self._tasks.move(task, {CANCELLED: True}) is None:
                again = await self._tasks.find(task.owner, task.id)
                return None if again is None else await self.cancelled(again)
        if job_id is not None:
            await self._studio.cancel_job(job_id, Call(owner=task.owner))
        return None

    async def _started(self, tool: Tool, arguments: Arguments, caller: Caller) -> Answer:
        assert tool.starts is not None
        call = caller.call(caller.returned())
        if WAIT not in arguments.given:
            arguments = _at_once(arguments)
        try:
            made = await tool.starts(arguments, call)
        except ConfirmationNeeded as needed:
            if needed.question is None or not caller.shows_forms:
                raise
            return await self._asking(tool, arguments, call, needed.question)
        if isinstance(made, Quote) or made.job.settled:
            return await self._tools.made(made)
        try:
            task = await self._tasks.make(call.owner, KIND, _doc_of(made))
        except KontextError:
            # The job is there, and so is the way to it that needs no task.
            return await self._tools.made(made)
        return created(task, Standing(status=Status.WORKING, message=_progress(made)))

    async def _asking(self, tool: Tool, arguments: Arguments, call: Call, question: Question) -> CreatedTask:
        asked = Asked(
            tool=tool.spec.name,
            arguments=await self._tasks.kept(call.owner, arguments.sent()),
            question=question,
        )
        task = await self._tasks.make(call.owner, KIND, asked.doc())
        return created(task, Standing(status=Status.INPUT_REQUIRED, message="A person is asked first."))

    async def _of_job(self, task: Task, job_id: str) -> Standing:
        view = await self._studio.get_status(job_id, Call(owner=task.owner))
        job = view.job
        if not job.settled or job.searched:
            # One whose reply was lost may yet be found: who asks by a task can wait for that.
            return Standing(status=Status.WORKING, message=_progress(view), at=job.created_at)
        if job.status is JobStatus.CANCELLED and job.cancel_requested:
            return Standing(status=Status.CANCELLED, message="Cancelled; nothing more happens.", at=job.ended_at)
        result = await self._tools.made(replace(view, joined=task.doc.get(JOINED, False)))
        if job.status is JobStatus.UNKNOWN:
            # A person may still find out what became of it; what was told as the end stays as it was told.
            await self._tasks.move(task, _doc_of_end(result))
        return Standing(status=Status.COMPLETED, result=result, at=job.ended_at)

    async def _done(self, owner: str, asked: Asked, answer: types.ElicitResult) -> Mapping[str, Any]:
        """Do what was asked about, if the answer is yes; give the row's next document."""
        try:
            yes = agreed(answer, asked.question.yes)
            tool, arguments = self._tools.asked(asked.tool, await self._tasks.restored(asked.arguments))
            assert tool.starts is not None
            made = await tool.starts(_at_once(arguments), Call(owner=owner, yes=yes))
        except (StorageBusy, StorageFull, StorageDamaged):
            # Nothing was written: the answer can be given again.
            raise
        except ConfirmationNeeded as needed:
            if needed.question is None:
                return _doc_of_end(error_result(needed.failure))
            # The price or the picture is another one by now, and that yes was to the earlier one.
            return replace(asked, question=needed.question, nth=asked.nth + 1).doc()
        except KontextError as error:
            return _doc_of_end(error_result(error.failure))
        assert not isinstance(made, Quote)
        return _doc_of(made)

    async def _become(self, task: Task, doc: Mapping[str, Any]) -> None:
        if await self._tasks.move(task, doc) is not None or JOB not in doc:
            return
        meanwhile = await self._tasks.find(task.owner, task.id)
        if meanwhile is not None and CANCELLED in meanwhile.doc:
            await self._studio.cancel_job(doc[JOB], Call(owner=task.owner))


def _at_once(arguments: Arguments) -> Arguments:
    return Arguments(values={**arguments.values, WAIT: 0}, given=arguments.given)


def _doc_of(made: View) -> dict[str, Any]:
    return {JOB: made.job.id, JOINED: made.joined}


def _doc_of_end(result: types.CallToolResult) -> dict[str, Any]:
    return {ENDED: result.model_dump(by_alias=True, mode="json", exclude_none=True)}


def _progress(view: View) -> str:
    failure = answers.failure_of(view.job)
    if failure is not None:
        return failure.message
    asked = " Its cancel was asked for." if view.job.cancel_requested else ""
    return f"{view.job.status.value} at {view.job.provider}, about {view.eta_s or 1} s to go.{asked}"

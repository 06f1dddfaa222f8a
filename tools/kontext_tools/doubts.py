"""What is told of a job whose create got no readable answer: whether we look for it, and what a person looks for.

What this is: the words, made anew at each telling from how the search stands, and the end that a person's look gives
it; pure. What it is not: the search (`seeking`). Above: stores, surface. Below: jobs, errors.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kontext_tools.errors import Billed, Failure, OutcomeUnknown, ProviderError
from kontext_tools.jobs import Job, Send, SendState, Sought

_SEEN = {
    Sought.NOT_SHOWN: "Its list, asked {searches} times since, shows no job that is certainly this one; that proves "
    "nothing.",
    Sought.SEVERAL: "Its list shows more than one job that could be this one.",
    Sought.UNANSWERED: "Its list could not be read for a day.",
}


def told(job: Job) -> Failure | None:
    """Give a job's failure as an answer tells it; `None` where it has none."""
    failure = job.failure
    if job.plan is not None and failure is not None and failure.code == OutcomeUnknown.code:
        return replace(failure, fix=f"Let a person look at the list of jobs at {job.provider}; {go_on(job)}.")
    lost = [send for send in job.sends if send.state is SendState.UNKNOWN]
    if failure is None or failure.code != OutcomeUnknown.code or not lost:
        return failure
    what = _what(job, lost)
    if job.searched:
        fix = (
            f"It is being looked for in the list at {lost[0].provider}: call get_status(job_id='{job.id}', "
            f"wait_seconds=25). To try again on purpose, let a person look there first ({what}), then call again with "
            "a new request_key."
        )
        return replace(failure, fix=fix)
    seen = next((_SEEN[send.sought].format(searches=send.searches) for send in lost if send.sought in _SEEN), "")
    fix = (
        f"Let a person look at the list of jobs at {lost[0].provider} ({what}); to try again on purpose, call again "
        "with a new request_key."
    )
    return replace(failure, message=f"{failure.message} {seen}".strip(), fix=fix)


def go_on(job: Job) -> str:
    """Give how a plan's unknown steps are tried again on purpose, which no request_key can say there."""
    lost = [run.step for run in job.runs if run.failure is not None and run.failure.code == OutcomeUnknown.code]
    steps = " and ".join(dict.fromkeys(lost))
    return (
        f"to try again on purpose, call run_plan with all its steps, the prompt of {steps} changed, and "
        f"resume_job_id='{job.id}'"
    )


def resolved(send: Send, now: datetime, *, charged: bool) -> Send:
    """End a send that was unknown, by what a person found at the provider."""
    told = "was charged" if charged else "was not charged"
    failed = ProviderError(
        f"A person looked at the provider's own list: it {told}, and no picture reached us.",
        fix="Call again for a new one.",
        billed=Billed.YES if charged else Billed.NO,
    )
    return replace(send, state=SendState.FAILED, ended_at=now, failure=failed.failure, sought=Sought.NO)


def _what(job: Job, lost: list[Send]) -> str:
    """Give what a person finds it by: the model, how many pictures, when."""
    count = sum(send.count for send in lost)
    sent = sorted(send.sent_at for send in lost if send.sent_at is not None)
    when = f", sent {sent[0]:%Y-%m-%d %H:%M:%S} UTC" if sent else ""
    return f"{job.model}, {count} image{'s' if count > 1 else ''}{when}"

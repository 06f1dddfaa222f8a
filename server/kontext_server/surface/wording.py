"""A failure and a question in words, for whoever reads text: a model, or a person.

What this is: the one wording of each. What it is not: what they travel in (`failures` and `asking`, which know MCP).
Above: failures, asking, cli. Below: errors, questions.
"""

from __future__ import annotations

from kontext_tools.errors import Billed, Failure
from kontext_tools.questions import Question

_CHARGED = {
    Billed.NO: "Nothing was charged.",
    Billed.YES: "It was charged.",
    Billed.UNKNOWN: "It may have been charged.",
}
_DOING = {"edit_image": "Editing", "generate_image": "Generating", "run_plan": "A plan of"}


def asked(question: Question) -> str:
    """Give what a person is asked to pay for, as one sentence."""
    pictures = "1 picture" if question.images == 1 else f"{question.images} pictures"
    return f"{_DOING[question.tool]} {pictures} costs {question.price} at {question.provider}."


def told(failure: Failure) -> str:
    """Give a failure as at most three lines: what happened and whether it was charged, what to do, its code."""
    happened = failure.message if "charged" in failure.message else f"{failure.message} {_CHARGED[failure.billed]}"
    marks = [f"code {failure.code}"]
    if failure.field:
        marks.append(f"field {failure.field}")
    if failure.job_id:
        marks.append(f"job {failure.job_id}")
    again = "may be repeated" if failure.retryable else "not to be repeated unchanged"
    if failure.retry_after_s is not None:
        again += f" after {failure.retry_after_s:g} s"
    return f"{happened}\nFix: {failure.fix}\n({', '.join(marks)}; billed {failure.billed.value}; {again})"

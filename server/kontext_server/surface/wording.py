"""A failure in words, for whoever reads text: a model, or a person at the command line.

What this is: the one wording of a failure. What it is not: the answer it travels in (`failures`, which knows MCP).
Above: failures, cli. Below: errors.
"""

from __future__ import annotations

from kontext_tools.errors import Billed, Failure

_CHARGED = {
    Billed.NO: "Nothing was charged.",
    Billed.YES: "It was charged.",
    Billed.UNKNOWN: "It may have been charged.",
}


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

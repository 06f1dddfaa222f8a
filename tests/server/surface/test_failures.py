"""A failure as a model reads it, and what may leave a handler."""

from __future__ import annotations

import logging

import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from mcp.shared.exceptions import MCPError

from kontext_server.surface.failures import error_result, guarded, told
from kontext_tools.errors import Billed, Failure, InvalidArgument, StorageBusy
from kontext_tools.quoting import quoted

pytestmark = pytest.mark.anyio

FAILURE = Failure(
    code="rate_limited",
    message="fal asks to wait.",
    fix="Call again in 30 seconds.",
    field="provider",
    retryable=True,
    retry_after_s=30.0,
    job_id="red-car-4k7q",
)


def test_a_failure_is_told_in_three_lines_beginning_with_what_happened_and_whether_it_was_charged() -> None:
    assert told(FAILURE) == snapshot(
        """\
fal asks to wait. Nothing was charged.
Fix: Call again in 30 seconds.
(code rate_limited, field provider, job red-car-4k7q; billed no; may be repeated after 30 s)\
"""
    )


@pytest.mark.parametrize(
    ("billed", "words"),
    [
        (Billed.NO, "Nothing was charged."),
        (Billed.YES, "It was charged."),
        (Billed.UNKNOWN, "It may have been charged."),
    ],
)
def test_what_was_charged_stands_in_the_first_line(billed: Billed, words: str) -> None:
    first = told(Failure(code="x", message="It broke.", fix="Call again.", billed=billed)).partition("\n")[0]
    assert first == f"It broke. {words}"


def test_what_the_message_says_of_charging_is_not_said_twice() -> None:
    text = told(Failure(code="cancelled", message="Cancelled; nothing was charged.", fix="Nothing is left to do."))
    assert text.partition("\n")[0] == "Cancelled; nothing was charged."
    assert text.endswith("(code cancelled; billed no; not to be repeated unchanged)")


@given(message=st.text(max_size=80).map(quoted), fix=st.text(max_size=80).map(quoted))
def test_another_partys_words_never_make_a_fourth_line(message: str, fix: str) -> None:
    assert len(told(Failure(code="x", message=message, fix=fix)).splitlines()) == 3


def test_an_error_answer_says_the_same_in_text_and_in_structure() -> None:
    result = error_result(FAILURE, {"job_id": "red-car-4k7q", "status": "failed"})
    assert result.is_error
    (text,) = result.content
    assert isinstance(text, types.TextContent) and text.text == told(FAILURE)
    assert result.structured_content == snapshot(
        {
            "job_id": "red-car-4k7q",
            "status": "failed",
            "error": {
                "code": "rate_limited",
                "message": "fal asks to wait.",
                "fix": "Call again in 30 seconds.",
                "field": "provider",
                "retryable": True,
                "retry_after_s": 30.0,
                "billed": "no",
                "job_id": "red-car-4k7q",
            },
        }
    )


def test_an_error_answer_without_a_job_holds_the_error_alone() -> None:
    assert set(error_result(FAILURE).structured_content or {}) == {"error"}


async def test_what_a_handler_gives_passes() -> None:
    @guarded
    async def handler(a: int, *, b: int) -> int:
        return a + b

    assert await handler(1, b=2) == 3
    assert handler.__name__ == "handler"


async def test_a_protocol_error_of_our_own_words_passes_as_it_is() -> None:
    error = MCPError(types.INVALID_PARAMS, "no such resource")

    @guarded
    async def handler() -> None:
        raise error

    with pytest.raises(MCPError) as caught:
        await handler()
    assert caught.value is error


async def test_a_foreseen_failure_becomes_its_first_line() -> None:
    @guarded
    async def handler() -> None:
        raise InvalidArgument("uri is wrong; nothing was sent.", fix="Give another.")

    with pytest.raises(MCPError) as caught:
        await handler()
    assert caught.value.error.code == types.INVALID_PARAMS
    assert caught.value.error.message == snapshot("uri is wrong; nothing was sent. Nothing was charged.")
    assert caught.value.__cause__ is None


async def test_a_crash_tells_its_text_to_the_log_and_to_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    @guarded
    async def handler() -> None:
        raise RuntimeError("the secret is sk-123456")

    with caplog.at_level(logging.ERROR), pytest.raises(MCPError) as caught:
        await handler()
    assert caught.value.error.code == types.INTERNAL_ERROR
    assert "sk-123456" not in str(caught.value.error)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    (record,) = caplog.records
    assert record.exc_info is not None and "sk-123456" in str(record.exc_info[1])


async def test_a_busy_store_is_told_with_its_own_words() -> None:
    @guarded
    async def handler() -> None:
        raise StorageBusy("The database is held by another process; nothing was sent.", fix="Call again.")

    with pytest.raises(MCPError, match="held by another process"):
        await handler()


async def test_the_end_of_a_call_is_never_swallowed() -> None:
    @guarded
    async def handler() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await handler()

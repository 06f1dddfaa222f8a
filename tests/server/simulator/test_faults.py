from __future__ import annotations

from typing import Any

import pytest

from kontext_server.simulator.faults import BadScriptError, Fault, Faults

WIRE = "core.today"


@pytest.fixture
def faults() -> Faults:
    return Faults([WIRE])


def _took(faults: Faults, on: Any = "create", path: str = "/p", body: bytes = b"") -> str:
    return faults.take(WIRE, on, path, body).fault


def test_without_a_script_nothing_happens(faults: Faults) -> None:
    assert _took(faults) == "none"


def test_faults_are_used_up_in_order_and_by_operation(faults: Faults) -> None:
    assert (
        faults.push(
            [
                {"wire": WIRE, "on": on, "fault": fault}
                for on, fault in [("create", "429"), ("get", "500"), ("create", "hang")]
            ]
        )
        == 3
    )
    assert [_took(faults), _took(faults), _took(faults)] == ["429", "hang", "none"]
    assert [_took(faults, "get"), _took(faults, "get")] == ["500", "none"]


def test_a_fault_may_strike_several_times_and_let_others_pass_before(faults: Faults) -> None:
    faults.push([{"wire": WIRE, "on": "file", "times": 2}, {"wire": WIRE, "on": "file", "fault": "404"}])
    assert [_took(faults, "file") for _ in range(4)] == ["none", "none", "404", "none"]


def test_a_fault_may_strike_for_ever(faults: Faults) -> None:
    faults.push([{"wire": WIRE, "on": "get", "fault": "503", "times": "always"}])
    assert {_took(faults, "get") for _ in range(9)} == {"503"}
    assert len(faults.waiting()) == 1
    faults.clear()
    assert (_took(faults, "get"), faults.waiting()) == ("none", [])


def test_a_fault_may_wait_for_a_text_in_path_or_body(faults: Faults) -> None:
    faults.push([{"wire": WIRE, "on": "create", "fault": "fail", "match": "fox"}] * 2)
    assert [_took(faults, body=b"a hen"), _took(faults, body=b"a fox"), _took(faults, path="/fox")] == [
        "none",
        "fail",
        "fail",
    ]


def test_numbers_are_taken_where_texts_are_meant(faults: Faults) -> None:
    faults.push([{"wire": WIRE, "on": "create", "fault": 429, "retry_after": 3}])
    fault = faults.take(WIRE, "create", "", b"")
    assert (fault.http_status, fault.retry_after) == (429, "3")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ({"on": "create"}, "wire: Field required"),
        ({"wire": "corn.today", "on": "create"}, "no wire; there are: core.today"),
        ({"wire": WIRE, "on": "delete"}, "on: "),
        ({"wire": WIRE, "on": "get", "fault": "explode"}, "'explode' is no fault; there are: none, an HTTP"),
        ({"wire": WIRE, "on": "get", "fault": "200"}, "no fault"),
        ({"wire": WIRE, "on": "get", "fault": "500", "tmes": 2}, "tmes: Extra inputs"),
        ({"wire": WIRE, "on": "get", "fault": "500", "times": 0}, "at least once"),
        ({"wire": WIRE, "on": "file", "fault": "fail"}, "happens to a job"),
        ({"wire": WIRE, "on": "get", "shape": "second"}, "on create"),
        ({"wire": WIRE, "on": "get", "seconds": 3}, "on create"),
        ({"wire": WIRE, "on": "cancel", "fault": "nsfw"}, "happens to a job"),
        ({"wire": WIRE, "on": "get", "version": "1.0.0"}, "on model or create"),
        ({"wire": WIRE, "on": "get", "fault": "status"}, "needs its status"),
        ({"wire": WIRE, "on": "file", "fault": "redirect"}, "needs its url"),
    ],
)
def test_a_senseless_script_is_refused_whole(faults: Faults, script: dict[str, Any], words: str) -> None:
    with pytest.raises(BadScriptError) as told:
        faults.push([Fault(wire=WIRE, on="get", fault="500"), script])
    assert words in str(told.value)
    assert faults.waiting() == []


@pytest.mark.parametrize(
    ("fault", "charged", "carried_out"),
    [
        ("none", None, True),
        ("fail", None, True),
        ("slow_body", None, True),
        ("500", None, False),
        ("500", True, True),
        ("hang", None, True),
        ("hang", False, False),
        ("accept_then_reset", None, True),
        ("reset_before_accept", None, False),
        ("garbage", None, False),
    ],
)
def test_a_request_is_carried_out_unless_its_answer_is_replaced(
    fault: str, charged: bool | None, carried_out: bool
) -> None:
    assert Fault(wire=WIRE, on="create", fault=fault, charged=charged).carried_out is carried_out

"""Every case of the bar is a test, is covered elsewhere, or says why it is not there yet."""

from __future__ import annotations

import re
from pathlib import Path

from support.bar import DEMANDS, ELSEWHERE, NOT_YET

HERE = Path(__file__).parent
DEFINED = re.compile(r"^(?:async )?def test_([A-Z]\d\d)_", re.MULTILINE)


def test_every_case_is_a_test_or_says_where_it_is_or_why_it_is_not() -> None:
    tested = {case for path in HERE.glob("test_*.py") for case in DEFINED.findall(path.read_text(encoding="utf-8"))}
    assert sorted(set(DEMANDS) - tested - set(ELSEWHERE) - set(NOT_YET)) == []
    assert sorted((tested | set(ELSEWHERE) | set(NOT_YET)) - set(DEMANDS)) == []


def test_what_is_covered_elsewhere_is_there() -> None:
    for case, where in ELSEWHERE.items():
        path, _, name = where.partition("::")
        assert f"def {name}(" in (HERE.parent / path).read_text(encoding="utf-8"), case

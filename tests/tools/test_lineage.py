"""Where an image comes from and what became of it, from rows alone."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.lineage import Lineage, Relative, rooted, trace
from kontext_tools.references import Ref
from kontext_tools.stores.finds import ImageRow
from support.fake_clock import START
from support.rows import an_output


def a_row(job_id: str, parent: str | None = None, *, n: int = 1, second: int = 0) -> ImageRow:
    return ImageRow(
        job_id=job_id,
        output=an_output(n, job_id),
        label="",
        prompt=f"prompt of {job_id}",
        provider="fal",
        created_at=START + timedelta(seconds=second),
        parent=parent,
    )


FAMILY = [
    a_row("car-0000"),
    a_row("car-0000", n=2),
    a_row("red-0000", "car-0000/1", second=1),
    a_row("sky-0000", "car-0000/1", second=2),
    a_row("wet-0000", "red-0000/1", second=3),
    a_row("cat-0000", second=4),
]


def traced(ref: str, parent: str | None = None, *, most: int = 9) -> Lineage:
    job_id, _, n = ref.partition("/")
    return trace(Ref(job_id=job_id, n=int(n)), parent, reversed(FAMILY), most=most)


def lines(relatives: tuple[Relative, ...]) -> list[tuple[str, str | None]]:
    return [(str(one.ref), one.parent) for one in relatives]


def test_ancestors_stand_from_the_first_on_and_descendants_each_after_its_parent() -> None:
    middle = traced("red-0000/1", "car-0000/1")
    assert lines(middle.ancestors) == [("car-0000/1", None)]
    assert lines(middle.descendants) == [("wet-0000/1", "red-0000/1")]
    last = traced("wet-0000/1", "red-0000/1")
    assert lines(last.ancestors) == [("car-0000/1", None), ("red-0000/1", "car-0000/1")]
    assert (last.descendants, last.whole) == ((), True)
    assert lines(traced("car-0000/1").descendants) == snapshot(
        [("red-0000/1", "car-0000/1"), ("sky-0000/1", "car-0000/1"), ("wet-0000/1", "red-0000/1")]
    )
    assert lines(traced("car-0000/2").descendants) == []


def test_a_source_is_the_image_that_it_was_made_from_or_what_its_job_began_with() -> None:
    of_result = traced("red-0000/0", "car-0000/1")
    assert lines(of_result.ancestors) == [("car-0000/1", None)]
    assert lines(of_result.descendants) == lines(traced("car-0000/1").descendants)
    of_file = traced("car-0000/0")
    assert lines(of_file.descendants)[:2] == [("car-0000/1", "car-0000/0"), ("car-0000/2", "car-0000/0")]
    assert len(of_file.descendants) == 5


def test_the_file_that_a_line_began_with_stands_first() -> None:
    source = Relative(ref=Ref(job_id="car-0000", n=0), prompt="", created_at=START, parent=None)
    line = rooted(traced("wet-0000/1", "red-0000/1"), source).ancestors
    assert lines(line) == [("car-0000/0", None), ("car-0000/1", "car-0000/0"), ("red-0000/1", "car-0000/1")]
    assert lines(rooted(traced("car-0000/1"), source).ancestors) == [("car-0000/0", None)]


def test_more_than_so_many_are_left_out_the_farthest_first_and_that_is_told() -> None:
    short = traced("wet-0000/1", "red-0000/1", most=1)
    assert (lines(short.ancestors), short.whole) == ([("red-0000/1", "car-0000/1")], False)
    few = traced("car-0000/1", most=2)
    assert (lines(few.descendants), few.whole) == (
        [("red-0000/1", "car-0000/1"), ("sky-0000/1", "car-0000/1")],
        False,
    )
    assert traced("car-0000/1", most=3).whole


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12), st.integers(0, 5), st.integers(1, 8))
def test_whatever_the_parents_are_a_lineage_ends_and_holds_no_image_twice(
    pairs: list[tuple[int, int]], start: int, most: int
) -> None:
    rows = [a_row(f"job-000{child}", f"job-000{parent}/1") for child, parent in pairs]
    parents = {row.job_id: row.parent for row in rows}
    lineage = trace(Ref(job_id=f"job-000{start}", n=1), parents.get(f"job-000{start}"), rows, most=most)
    for side in (lineage.ancestors, lineage.descendants):
        refs = [str(one.ref) for one in side]
        assert len(refs) == len(set(refs)) <= most
    assert f"job-000{start}/1" not in [str(one.ref) for one in lineage.descendants]

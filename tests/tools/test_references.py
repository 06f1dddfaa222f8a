"""Names for jobs and images: made, parsed, found again."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_tools.references import MAX_SLUG_CHARS, Ref, is_job_id, nearest, new_job_id, parse_ref, slug


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Make the car bright red, please", "car-bright-red"),
        ("Replace 'SALE' with 'OPEN'", "replace-sale"),
        ("the the the", "the-the-the"),
        ("Façade à l'été", "facade-l-ete"),
        ("붉은 차", "image"),
        ("", "image"),
        ("🚗🚗", "image"),
        ("Supercalifragilisticexpialidocious", "supercalifragili"),
        ("a/b\\c..%00", "b-c-00"),
    ],
)
def test_a_slug_is_the_telling_words(text: str, made: str) -> None:
    assert slug(text) == made


@given(st.text(), st.integers(), st.integers(4, 9))
def test_every_new_id_is_an_id_whatever_it_is_made_of(text: str, seed: int, tail_chars: int) -> None:
    job_id = new_job_id(text, Random(seed), tail_chars=tail_chars)
    assert is_job_id(job_id)
    assert parse_ref(job_id) == Ref(job_id=job_id)
    head, _, tail = job_id.rpartition("-")
    assert 1 <= len(head) <= MAX_SLUG_CHARS and len(tail) == tail_chars


def test_the_same_draw_gives_the_same_id() -> None:
    assert new_job_id("red car", Random(1)) == new_job_id("red car", Random(1)) == snapshot("red-car-84g7")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("red-car-4k7q", Ref(job_id="red-car-4k7q")),
        ("red-car-4k7q/1", Ref(job_id="red-car-4k7q", n=1)),
        ("red-car-4k7q/0", Ref(job_id="red-car-4k7q", n=0)),
        ("kontext://images/red-car-4k7q/1", Ref(job_id="red-car-4k7q", n=1)),
        ("KONTEXT://images/red-car-4k7q", Ref(job_id="red-car-4k7q")),
        ("`red-car-4k7q/2`", Ref(job_id="red-car-4k7q", n=2)),
        ("  'RED-CAR-4K7Q/1' ", Ref(job_id="red-car-4k7q", n=1)),
        ("car-4k7qz9", Ref(job_id="car-4k7qz9")),
    ],
)
def test_a_reference_is_read_in_every_form_that_models_give_it(text: str, ref: Ref) -> None:
    assert parse_ref(text) == ref


@pytest.mark.parametrize(
    "text",
    [
        "",
        "last",
        "red-car",
        "red-car-4k7",
        "red-car-4k7i",
        "4k7q",
        "-4k7q",
        "red--car-4k7q",
        "red-car-4k7q/",
        "red-car-4k7q/-1",
        "red-car-4k7q/100",
        "red-car-4k7q/\uff11",
        "red-car-4k7q/1/meta",
        "/red-car-4k7q",
        "red-car-4k7q/1.png",
        "red_car_4k7q",
        "kontext://jobs/red-car-4k7q",
        "red-car-4k7q\n/1",
        "../red-car-4k7q",
    ],
)
def test_what_is_no_reference_is_none(text: str) -> None:
    assert parse_ref(text) is None


@given(st.text(max_size=40))
def test_any_text_is_a_reference_of_a_job_id_or_none(text: str) -> None:
    ref = parse_ref(text)
    if ref is not None:
        assert is_job_id(ref.job_id)
        assert ref.n is None or 0 <= ref.n <= 99
        assert parse_ref(str(ref)) == ref


def test_a_reference_without_a_number_has_the_address_of_the_first_image() -> None:
    assert Ref(job_id="red-car-4k7q").uri == "kontext://images/red-car-4k7q/1"
    assert Ref(job_id="red-car-4k7q", n=0).uri == "kontext://images/red-car-4k7q/0"
    assert str(Ref(job_id="red-car-4k7q")) == "red-car-4k7q"


def test_the_nearest_come_best_first_however_far_they_are() -> None:
    ids = ["red-car-4k7q", "red-cat-0000", "blue-sky-9zzz"]
    assert nearest("RED-CAR-4K7R", ids)[0] == "red-car-4k7q"
    assert nearest("red-car-4k7r", ids, count=1) == ["red-car-4k7q"]
    assert sorted(nearest(" qqqqqqqqqqqq ", ids)) == sorted(ids)
    assert nearest("red-car-4k7r", []) == []


def test_of_a_text_without_end_only_the_beginning_is_looked_at() -> None:
    text = "red-car-4k7q" + "a" * 1_000_000
    tracemalloc.start()
    assert nearest(text, ["blue-sky-9x2m", "red-car-4k7q"], count=1) == ["red-car-4k7q"]
    assert tracemalloc.get_traced_memory()[1] < 200_000
    tracemalloc.stop()

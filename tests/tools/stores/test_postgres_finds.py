"""Words in PostgreSQL: the same images as in SQLite, for whatever is written and asked."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest

from kontext_tools.stores import sql_finds
from kontext_tools.stores.database import Database
from kontext_tools.stores.finds import Page, Wanted
from support.fake_clock import START
from support.places import PostgresPlace, SqlitePlace
from support.postgres import Server

PARTS = [
    "car",
    "cars",
    "Caring",
    "CAFÉ",
    "cafe",
    "café's",
    "it's",
    "a",
    "the",
    "of",
    "not",
    "50%",
    "1e5",
    "007",
    "3d",
    "x2",
    "co-op",
    "user@host.example",
    "https://a.example/b",
    "naïve",
    "Ölgemälde",
    "ÖL",
    "straße",
    "İstanbul",
    "КРАСНЫЙ",
    "красный",
    "красная",
    "赤い車",
    "赤い",
    "한국어",
    "한국",
    "🚗",
    "--",
    "_",
    "a_b",
    "back\\slash",
    "'quoted'",
    '"x"',
    "AND",
    "OR",
    "NEAR(a",
    "c*r",
    "^car",
    "prompt:car",
    "running",
    "runs",
    "ran",
    "happily",
    "happy",
    "relational",
    "rate",
    "2026-11-20",
    "v1.2.3",
    "!!!",
    "½",
    "word",
]
DIFFERS = {"½"}
"""What the schema says that it reads otherwise."""


@pytest.fixture
def place(postgres: Server) -> PostgresPlace:
    return PostgresPlace(postgres, postgres.new_schema())


def insert(db: Database, n: int, prompt: str, label: str, keep: str) -> None:
    doc = json.dumps({"edit": {"keep": keep}})
    db.execute(
        """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, created_us, fingerprint, key_digest, doc)
            VALUES (?, 'ann', 'edit_image', 'completed', ?, ?, 'fal', ?, '', '', ?)""",
        (f"job-{n:04}", label, prompt, n, doc),
    )
    db.execute(
        """INSERT INTO outputs (job_id, n, owner, created_us, blob, media_type, width, height, size_bytes, sha256)
            VALUES (?, 1, 'ann', ?, '', 'image/png', 1, 1, 1, '')""",
        (f"job-{n:04}", n),
    )


def found(db: Database, words: Sequence[str], *, any_word: bool) -> list[str]:
    wanted = Wanted(words=tuple(words), any_word=any_word)
    return [row.job_id for row in sql_finds.images(db, "ann", wanted, limit=200, before=None).rows]


def test_both_databases_find_the_same_images(place: PostgresPlace, tmp_path_factory: pytest.TempPathFactory) -> None:
    draw = random.Random(11)
    other = SqlitePlace(tmp_path_factory.mktemp("finds") / "kontext.db")
    with place.opened() as far, other.opened() as near:
        for n in range(80):
            texts = [" ".join(draw.choices(PARTS, k=draw.randint(0, 4))) for _ in range(3)]
            for db in (far, near):
                insert(db, n, *texts)
        asked = [[part] for part in PARTS] + [draw.choices(PARTS, k=draw.randint(2, 3)) for _ in range(120)]
        asked += [[part[: max(1, len(part) - 1)]] for part in PARTS]
        unlike = [
            (words, any_word)
            for words in asked
            for any_word in (False, True)
            if DIFFERS.isdisjoint(words)
            and found(far, words, any_word=any_word) != found(near, words, any_word=any_word)
        ]
        assert unlike == []
        assert found(far, ["car"], any_word=False)


def test_no_text_is_ever_an_error(place: PostgresPlace) -> None:
    draw = random.Random(5)
    signs = "\"*^:(){}-+ANDORNT <>&|!'\\$\x00\ud800é🚗0"
    with place.opened() as db:
        for _ in range(150):
            text = "".join(draw.choices(signs, k=draw.randint(0, 30)))
            wanted = Wanted(words=tuple(text.split()), any_word=draw.random() < 0.5, since=START)
            assert sql_finds.images(db, "ann", wanted, limit=5, before=None) == Page(), text

"""Our entry in and out of a client's text: a round is the identity, and no other byte moves."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from kontext_server.clients.edits import Told, with_told, without_told
from kontext_server.clients.json_text import NotPlainJson
from kontext_server.clients.splice import WrongShape, put
from server.clients.samples import SAMPLES

ENTRY = {"command": "/home/jos\u00e9/bin/kontext", "args": ["serve"], "env": {"KONTEXT_DATA_DIR": "C:\\data"}}
INPUT = {"type": "promptString", "id": "kontext-fal-key", "description": "FAL_KEY", "password": True}
PLAIN = Told(holder="mcpServers", name="kontext", entry=ENTRY)
ASKING = Told(
    holder="servers", name="kontext", entry=ENTRY | {"env": {"K": "${input:kontext-fal-key}"}}, inputs=[INPUT]
)

blanks = st.text(alphabet=" \t\n\r", max_size=3)
keys = st.sampled_from(["mcpServers", "servers", "inputs", "a", "\u00e9", 'say "x"', "kontext2"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2), max_leaves=8
)
names = keys | st.text(max_size=3)  # shorter than ours
holders = st.dictionaries(names, values, max_size=2)


@st.composite
def texts(draw: st.DrawFn, *, others: bool = False) -> str:
    """A JSON object as somebody might have written it: blanks anywhere, escapes or not, our holders perhaps.

    With `others` there are entries beside ours.
    """
    data = draw(st.dictionaries(keys, values, max_size=3))
    for name in ("mcpServers", "servers"):
        if name in data:
            data[name] = draw(holders)
    if others:
        data["mcpServers"] = draw(st.dictionaries(names, values, min_size=1, max_size=2))
    if "inputs" in data:
        data["inputs"] = draw(st.lists(holders, max_size=2))
    return draw(blanks) + _written(draw, data) + draw(blanks)


def _written(draw: st.DrawFn, data: Any) -> str:
    if isinstance(data, dict):
        members = [
            f"{draw(blanks)}{json.dumps(name, ensure_ascii=draw(st.booleans()))}{draw(blanks)}:{draw(blanks)}"
            f"{_written(draw, value)}{draw(blanks)}"
            for name, value in cast("dict[str, Any]", data).items()
        ]
        return "{" + (",".join(members) or draw(blanks)) + "}"
    if isinstance(data, list):
        return (
            "["
            + (
                ",".join(draw(blanks) + _written(draw, one) + draw(blanks) for one in cast("list[Any]", data))
                or draw(blanks)
            )
            + "]"
        )
    return json.dumps(data, ensure_ascii=draw(st.booleans()))


def _data(text: str) -> Any:
    return json.loads(text) if text.strip(" \t\r\n") else {}


def _expected(text: str, told: Told) -> dict[str, Any]:
    data = _data(text)
    data.setdefault(told.holder, {})[told.name] = told.entry
    if told.inputs:
        data.setdefault("inputs", []).extend(told.inputs)
    return data


@pytest.mark.parametrize("told", [PLAIN, ASKING], ids=["plain", "asking"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_round_gives_a_real_file_back_byte_for_byte(sample: str, told: Told) -> None:
    before = SAMPLES[sample]
    text = with_told(before, told)
    assert _data(text) == _expected(before, told)
    assert with_told(text, told) == text
    assert without_told(text, told.holder, told.name, ["kontext-fal-key"], before) == before


@given(before=texts(), told=st.sampled_from([PLAIN, ASKING]))
def test_a_round_gives_any_text_back_and_twice_is_once(before: str, told: Told) -> None:
    text = with_told(before, told)
    assert _data(text) == _expected(before, told)
    assert with_told(text, told) == text
    assert without_told(text, told.holder, told.name, ["kontext-fal-key"], before) == before


@given(before=texts())
def test_what_is_put_in_is_all_that_is_added(before: str) -> None:
    text = with_told(before, PLAIN)
    kept = [char for char in before if not char.isspace()]
    rest = iter(text)
    assert all(char in rest for char in kept), "the characters of the text follow each other as they did"


@given(before=texts(), told=st.sampled_from([PLAIN, ASKING]))
def test_a_client_that_wrote_the_file_anew_meanwhile_loses_only_our_entry(before: str, told: Told) -> None:
    data = _data(with_told(before, told)) | {"later": {"by": "the client"}}
    anew = json.dumps(data, indent=4)
    text = without_told(anew, told.holder, told.name, ["kontext-fal-key"], before)
    assert text is not None
    assert _data(text) == _data(before) | {"later": {"by": "the client"}}


@given(before=texts(others=True))
def test_an_entry_among_others_leaves_them_byte_for_byte_without_knowing_what_was(before: str) -> None:
    assert without_told(with_told(before, PLAIN), "mcpServers", "kontext", [], None) == before


@given(before=texts().filter(lambda text: bool(_data(text))), told=st.sampled_from([PLAIN, ASKING]))
def test_what_a_person_adds_meanwhile_stays_as_if_we_had_never_been_there(before: str, told: Told) -> None:
    # A container that was there, but empty, is closed again without the blanks that it held.
    assume(all(_data(before).get(name, True) for name in (told.holder, "inputs")))
    later = put(with_told(before, told), ["later"], [1])
    assert without_told(later, told.holder, told.name, ["kontext-fal-key"], before) == put(before, ["later"], [1])


def test_a_file_that_was_ours_alone_is_none() -> None:
    text = with_told("", PLAIN)
    assert without_told(text, "mcpServers", "kontext", [], None) is None
    assert without_told(text, "mcpServers", "kontext", [], "\n") == "\n"
    # A backup of a file that the person has removed since.
    assert without_told(text, "mcpServers", "kontext", [], '{"mcpServers": {}, "x": 1}') is None


def test_a_file_that_was_ours_and_got_more_keeps_that() -> None:
    text = with_told(with_told("", PLAIN), Told(holder="mcpServers", name="other", entry={"command": "x"}))
    left = without_told(text, "mcpServers", "kontext", [], None)
    assert left == '{\n  "mcpServers": {\n    "other": {\n      "command": "x"\n    }\n  }\n}\n'


def test_what_came_after_ours_stays_as_it_is() -> None:
    before = '{\n  "mcpServers": {\n    "a": {"command": "a"}\n  }\n}\n'
    later = with_told(before, PLAIN).replace("    }\n  }\n}", '    },\n    "z": {"command":   "z"}\n  }\n}')
    assert without_told(later, "mcpServers", "kontext", [], before) == snapshot(
        '{\n  "mcpServers": {\n    "a": {"command": "a"},\n    "z": {"command":   "z"}\n  }\n}\n'
    )


def test_an_emptied_holder_stays_where_the_person_had_one() -> None:
    text = with_told('{"mcpServers": {}, "x": 1}', PLAIN).replace('"x": 1', '"x": 2')
    assert without_told(text, "mcpServers", "kontext", [], '{"mcpServers": {}, "x": 1}') == '{"mcpServers": {}, "x": 2}'
    text = with_told('{"x": 1}', PLAIN).replace('"x": 1', '"x": 2')
    assert without_told(text, "mcpServers", "kontext", [], '{"x": 1}') == '{"x": 2}'


def test_an_input_that_another_server_refers_to_stays() -> None:
    other = Told(holder="servers", name="other", entry={"command": "x", "env": {"K": "${input:kontext-fal-key}"}})
    text = with_told(with_told("{}", ASKING), other)
    left = without_told(text, "servers", "kontext", ["kontext-fal-key"], "{}")
    assert left is not None
    assert json.loads(left)["inputs"] == [INPUT]


def test_a_backup_that_holds_an_entry_of_that_name_is_not_given_back() -> None:
    text = with_told("{}", PLAIN)
    left = without_told(text, "mcpServers", "kontext", [], text)
    assert left == '{\n  "mcpServers": {}\n}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{\n  // mine\n  "a": 1}', "line 2: a comment"),
        ('{"a": 1 /* mine */}', "line 1: a comment"),
        ('{\n"a": 1,\n}', "line 3: a comma stands before }"),
        ('{"a": [1,]}', "a comma stands before ]"),
        ('{"a": 1, "a": 2}', 'the key "a" stands there a second time'),
        ('{"b": [{"a": 1, "\\u0061": 2}]}', 'the key "a" stands there a second time'),
        ('{"a": 1', "a comma or } is missing"),
        ('{"a" 1}', "a colon is missing"),
        ("{a: 1}", "a name in quotation marks is missing"),
        ("{'a': 1}", "a name in quotation marks is missing"),
        ('{"a": }', "a value is missing"),
        ('{"a": NaN}', "a value is missing"),
        ('{"a": 01}', "a comma or } is missing"),
        ('{"a": "x\ny"}', "not written as JSON"),
        ('{"a": "\\x"}', "not written as JSON"),
        ('{"a": 1} x', "something follows the end"),
        ("[" * 300 + "]" * 300, "nested deeper"),
        ('{"a": ' * 100_000, "nested deeper"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(NotPlainJson) as refused:
        with_told(text, PLAIN)
    assert why in str(refused.value)


@given(text=st.text(alphabet='{}[]",:\\/ \n1-.eEtrufalsn*', max_size=30))
def test_only_what_python_reads_as_json_too_is_taken(text: str) -> None:
    try:
        with_told(text, PLAIN)
    except (NotPlainJson, WrongShape):
        return
    assert isinstance(_data(text), dict)


@pytest.mark.parametrize("text", ["[]", "1", '{"mcpServers": []}', '{"mcpServers": "x"}', '{"mcpServers": null}'])
def test_a_holder_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(WrongShape):
        with_told(text, PLAIN)


def test_inputs_that_are_no_list_are_refused() -> None:
    with pytest.raises(WrongShape, match="inputs is no list"):
        with_told('{"inputs": {}}', ASKING)


def test_an_older_entry_is_written_anew_in_its_place() -> None:
    before = '{\n  "mcpServers": {\n    "kontext": {"command": "old"},\n    "z": {"command": "z"}\n  }\n}\n'
    short = Told(holder="mcpServers", name="kontext", entry={"command": "new"})
    assert with_told(before, short) == snapshot(
        """\
{
  "mcpServers": {
    "kontext": {
      "command": "new"
    },
    "z": {"command": "z"}
  }
}
"""
    )

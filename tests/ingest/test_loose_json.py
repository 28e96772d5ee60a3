"""Values that cannot be used: marked where they are, kept as they came, never published."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import loose_json
from ingest.intake.accept import SourcePolicy, accept
from ingest.kit.fields import derived_id
from ingest.loose_json import DamagedArray, DamagedObject, Unusable, damage, decode, encode
from ingest.request import decode_json
from ingest.testing.values import JSON, at, places, put
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

MARK = "put-it-here"
BAD = ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5000, "[" * 600 + "]" * 600)


def test_the_value_is_marked_and_so_is_all_above_it() -> None:
    found: Any = decode(b'{"a": [{"b": NaN, "c": 1}, {"d": [1.5, "NaN"]}], "e": "x"}')
    assert isinstance(found, DamagedObject)
    assert isinstance(found["a"], DamagedArray)
    assert isinstance(found["a"][0], DamagedObject)
    assert isinstance(found["a"][0]["b"], Unusable)
    assert type(found["a"][1]) is dict
    assert damage(found, "it") == "a.0.b: is NaN, which is no JSON; send null or leave it out"
    assert damage(found["a"][1], "it") is None


@pytest.mark.parametrize("bad", BAD, ids=lambda text: text[:9])
@given(value=JSON, data=st.data())
def test_what_is_around_it_is_as_it_was(bad: str, value: Any, data: st.DataObject) -> None:
    value = {"a": [value, {"b": 1}]}
    path = data.draw(st.sampled_from(list(places(value))))
    text = json.dumps(put(value, path, MARK), ensure_ascii=False).replace(f'"{MARK}"', bad)
    found = decode(text.encode("utf-8", "replace"))
    unusable = at(found, path)
    if isinstance(unusable, Unusable):
        assert unusable.text == bad
        for length in range(len(path)):
            assert loose_json.is_damaged(at(found, path[:length]))
    # It is written again with the text as it came, and read again as it was.
    assert bad.encode() in encode(found)
    assert decode(encode(found)) == found


@given(value=JSON)
def test_json_of_the_fast_decoder_is_read_in_the_same_way(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    if b"Infinity" not in text:
        assert decode(text) == msgspec.json.decode(text)


@pytest.mark.parametrize("levels", [499, 500, 501, 2_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_only_the_part_that_is_too_deep_is_marked(levels: int, opening: str, closing: str) -> None:
    text = "[1, " + opening * (levels - 1) + "1" + closing * (levels - 1) + ', "[{", 1e3]'
    found: Any = decode(text.encode())
    assert isinstance(found, DamagedArray) == (levels > 500)
    assert (found[0], found[2], found[3]) == (1, "[{", 1000.0)
    assert len(encode(found)) == len(text) - text.count(", ") - (len("1e3") - len("1000.0"))


def test_a_number_that_looks_like_the_mark_of_a_part_stays_one() -> None:
    text = '{"x": [1e99900, 1e9990, 1e999], "deep": ' + "[" * 600 + "]" * 600 + "}"
    found: Any = decode(text.encode())
    assert [one.text for one in found["x"]] == ["1e99900", "1e9990", "1e999"]
    assert "deeper" in str(damage({"deep": found["deep"]}, ""))


@pytest.mark.parametrize(
    "text",
    ["", "[", "]", "[" * 600, "]" * 600 + "[" * 600, "[" * 600 + '"', '{"a": nan}', "[1e]", "[NaN"],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    refused = decode_json(text.encode())
    assert isinstance(refused, Rejection)
    assert refused.reason == "unreadable"


def test_a_body_that_is_one_bad_value_says_so() -> None:
    refused = decode_json(b"-Infinity")
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith("the body: is -Infinity, which is no JSON")


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"x\ud83d", "x�"),
        (r"\ud83d\ude00", "😀"),
        (r"\ude00\ud83d", "��"),
        (r"\ud83d\ud83d\ude00", "�😀"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\�"),
        (r"\u0041", "A"),
    ],
)
def test_half_of_an_emoji_becomes_a_replacement_character(escaped: str, text: str) -> None:
    assert decode(f'["{escaped}", "\\udc00"]'.encode()) == [text, "�"]


def test_no_encoder_carries_an_unusable_value() -> None:
    found: Any = decode(b'{"properties": {"x": [NaN]}}')
    for changed in (found, copy.deepcopy(found), dict(found)):
        with pytest.raises(TypeError):
            msgspec.json.encode(changed)
        with pytest.raises(TypeError):
            json.dumps(changed)


@pytest.mark.parametrize("field", ["properties", "traits"])
def test_a_touch_that_holds_one_is_refused_and_says_where(field: str) -> None:
    person = {"identifiers": [{"kind": "email", "value": "a@x.jp"}]}
    given = {"event_id": "e", "channel": "web", "type": "page_viewed", **person}
    touch = Touchpoint.model_validate({**given, field: {"x": decode(b'{"y": NaN}')}})
    refused = accept(touch, SourcePolicy("s"), 0, b"")
    assert isinstance(refused, Rejection)
    assert refused.detail == f"{field}.x.y: is NaN, which is no JSON; send null or leave it out"


def test_an_id_can_be_derived_of_one() -> None:
    assert derived_id({"a": decode(b"[NaN]")}) != derived_id({"a": decode(b"[1e400]")})


def test_a_hostile_body_takes_no_longer_than_another() -> None:
    bodies = (
        b"[" * 2_500_000 + b"]" * 2_500_000,
        b"[" + b"NaN," * 1_200_000 + b"1]",
        b"[" + b"1e999," * 800_000 + b"1]",
        b'{"a":' * 1_000_000,
        b"[" + (b"[" * 501 + b"]" * 501 + b",") * 5_000 + b"1]",
    )
    for body in bodies:
        began = time.process_time()
        decode_json(body)
        assert time.process_time() - began < 10

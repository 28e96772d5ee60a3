"""Definitions as files: what is wrong is said with file and line, all of it at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import deploy
from deploy.config.segments import load_segments
from processors.segments import SegmentError
from tests.processors.segments.strategies import leaves, trees

GOOD = "name: {}\nwhen: {{identifier: {{kind: email}}}}\n"


def problems(folder: Path, **files: str | bytes) -> list[str]:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{name}.yaml").write_bytes(data)
    with pytest.raises(SegmentError) as caught:
        load_segments(folder)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("cuont: {}", "unknown condition cuont (did you mean count?), expected one of trait, "),
        ("sequence: {}", "condition sequence is not supported yet, expected one of trait, "),
        ("segment: other", "condition segment is not supported yet"),
        ("rank: {by: revenue}", "condition rank is not supported yet"),
        ("[]", "[] is no condition, expected one of trait, "),
        ("count: 3", "count: 3 is no mapping, expected some of channel, type, source, campaign, "),
        ("count: {at_leest: 3}", "unknown field at_leest (did you mean at_least?), expected one "),
        ("count: {type: x}", "count: has no bound, expected at_least, at_most or both"),
        ("count: {at_least: 0}", "at_least: 0 does not fit, expected it to be greater than or"),
        ("count: {at_least: yes}", 'at_least: "yes" does not fit, expected a whole number'),
        ("count: {at_least: true}", "at_least: true does not fit, expected a whole number"),
        ("count: {at_least: 1.5}", "at_least: 1.5 does not fit, expected a whole number"),
        ("count: {at_least: 3, at_most: 2}", "count: can never hold, expected at_least to be at"),
        ("count: {at_least: 1, within: 7}", "within: 7 is no duration, expected one such as 30m"),
        ("count: {at_least: 1, within: 0d}", 'within: "0d" is no window, expected a duration ab'),
        ("count: {at_least: 1, within: 401d}", 'within: "401d" is too long a window, expected'),
        ("count: {at_least: 1, within: }", "within has no value, expected one"),
        ("count: {at_least: 1, channel: Web}", 'channel: "Web" does not fit, expected a word of'),
        ("count: {at_least: 1, type: a b}", 'type: "a b" does not fit, expected one word such as'),
        ("count: {at_least: 1, type: 3}", "type: 3 does not fit, expected text"),
        ('count: {at_least: 1, source: ""}', 'source: "" does not fit, expected text that is not'),
        ('count: {at_least: 1, source: "\\x1f"}', 'source: "\\u001f" does not fit, expected text'),
        ("count: {at_least: 1, direction: in}", "direction: \"in\" does not fit, expected it to"),
        ("sum: {at_least: 1}", "currency is missing, expected one such as JPY: amounts in diffe"),
        ("sum: {currency: YE, at_least: 1}", 'currency: "YE" does not fit, expected an ISO 4217'),
        ("sum: {currency: JPY}", "sum: has no bound, expected at_least, at_most or both"),
        ("sum: {currency: JPY, at_least: '1'}", 'at_least: "1" is no amount, expected a number'),
        ("sum: {currency: JPY, at_least: 0.0000001}", "at_least: 1e-07 is out of range, expected"),
        ("last_touch: {type: x}", "last_touch: has no window, expected within, not_within or both"),
        ("first_touch: {within: 1d, not_within: 24h}", "first_touch: can never hold, expected "),
        ("trait: {name: plan}", "trait: says nothing about the trait, expected one of equals"),
        ("trait: {equals: pro}", "name is missing"),
        ("trait: {name: plan, equals: [a]}", 'equals: ["a"] cannot be compared, expected text'),
        ("trait: {name: plan, equals: }", "equals has no value, expected one"),
        ("trait: {name: plan, in: [~]}", "in: null cannot be compared, expected text, a number"),
        ("trait: {name: plan, in: []}", "in is empty, expected at least one item"),
        ("trait: {name: plan, in: pro}", 'in: "pro" does not fit, expected a list'),
        ("trait: {name: plan, in_: [pro]}", "unknown field in_ (did you mean in?)"),
        ("trait: {name: plan, matches: '('}", 'matches: "(" is no regular expression: missing )'),
        ("trait: {name: age, greater_than: old}", 'greater_than: "old" has no order, expected a'),
        ("trait: {name: a, exists: false, equals: b}", "trait: exists: false contradicts the oth"),
        ("identifier: {kind: Email}", 'kind: "Email" does not fit, expected a kind of identifier'),
        ("identifier: {kind: email, exists: no}", 'exists: "no" does not fit, expected true or'),
        ("consent: {purpose: marketing}", "is is missing, expected true or false"),
        ("all: []", "all is empty, expected at least one item"),
        ("any: {count: {}}", 'any: {"count": {}} does not fit, expected a list'),
        ("not: ", "null is no condition, expected one of trait, "),
    ],
)  # fmt: skip
def test_a_wrong_condition_is_refused_with_its_line(tmp_path: Path, condition: str, message: str):
    lines = problems(tmp_path, wrong=f"name: wrong\nwhen:\n  all:\n    - {condition}\n")
    assert len(lines) == 1
    assert lines[0].startswith(f"wrong.yaml:4: {message}")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "wrong.yaml:1: the file is empty, expected a definition with name and when"),
        ("- a", 'wrong.yaml:1: the file: ["a"] is no mapping, expected some of name, descr'),
        ("\nname: [", "wrong.yaml:2: not valid YAML: expected the node content"),
        (GOOD.format("a") + "---\nb: 1", "wrong.yaml:3: not valid YAML: but found another docu"),
        (GOOD.format("a") + "name: b", "wrong.yaml:3: name stands here a second time, the first"),
        (GOOD.format("A"), 'wrong.yaml:1: name: "A" does not fit, expected at most 64 of a-z, 0'),
        (GOOD.format("a") + "wen: 1", "wrong.yaml:3: unknown field wen (did you mean when?), ex"),
        ("name: a", "wrong.yaml:1: when is missing"),
        (GOOD.format("&a a") + "description: *a", "wrong.yaml:3: an alias (*) is not supported"),
        (GOOD.format("!!int a"), "wrong.yaml:1: the value does not fit its tag tag:yaml.org,2002"),
        (GOOD.format("!x a"), "wrong.yaml:1: the tag !x is not supported, expected a plain value"),
        (GOOD.format("a") + "? [b]\n: c", "wrong.yaml:3: a list or mapping cannot be a key, exp"),
        (b"name: a\n\n#\xff", "wrong.yaml:3: this is not UTF-8, expected text in UTF-8"),
        ("name: a\n#\x00", "wrong.yaml:2: holds a control character, expected text"),
        ("name: a\nwhen: " + "{not: " * 100 + "1" + "}" * 100, "wrong.yaml:2: nested too deeply"),
        ("name: a\nwhen: " + "[" * 9000, "wrong.yaml:2: nested too deeply, expec"),
        (
            "name: a\nwhen:\n  count:\n  type: x\n",
            "wrong.yaml:2: one condition must stand here, found count, type; expected the lines "
            "below count to be indented more",
        ),
        (
            "name: a\nwhen:\n  not: {all: []}\n  any: []\n",
            "wrong.yaml:2: one condition must stand here, found not, any; expected several to be "
            "joined with all or any",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str | bytes, expected: str):
    assert problems(tmp_path, wrong=content)[0].startswith(expected)


def test_all_problems_of_all_files_are_said_in_the_order_of_file_and_line(tmp_path: Path):
    lines = problems(
        tmp_path,
        b="name: b\nname: c\nwhen:\n  all:\n    - count: {}\n    - consent: {porpose: x}\n",
        a="name: a\n",
        c=GOOD.format("c"),
        d="\n" + GOOD.format("c"),
    )
    assert [line.split(": ")[0] for line in lines] == [
        "a.yaml:1", "b.yaml:2", "b.yaml:5", "b.yaml:6", "b.yaml:6", "b.yaml:6", "d.yaml:2",
    ]  # fmt: skip
    assert lines[-1] == "d.yaml:2: name: c is taken by c.yaml:1, expected a name of its own"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(SegmentError, match="no such folder"):
        load_segments(tmp_path / "none")


def test_segments_come_in_the_order_of_their_names_whatever_their_files(tmp_path: Path):
    for file, name in (("1.yaml", "b"), ("2.yml", "a"), (".3.yaml", "c"), ("4.txt", "d")):
        (tmp_path / file).write_text(GOOD.format(name))
    assert [segment.name for segment in load_segments(tmp_path)] == ["a", "b"]


def when(folder: Path, condition: str) -> dict[str, Any]:
    (folder / "a.yaml").write_text(f"name: a\nwhen: {condition}\n")
    return load_segments(folder)[0].when


def test_plain_words_are_text_and_only_decimal_numbers_are_numbers(tmp_path: Path):
    words = "no, 0600001, 12:30, 2026-01-01, +8190, 1_000, 0x1f, 1234567890123456789012, NULL-1"
    plain = when(tmp_path, f"{{trait: {{name: t, in: [{words}, 1.50, 7, true]}}}}")
    assert plain["trait"]["in"] == [*words.split(", "), "1.5", "7", "true"]


def test_the_digest_names_the_meaning_and_not_the_wording(tmp_path: Path):
    def digest(text: str) -> str:
        (tmp_path / "a.yaml").write_text(text)
        return load_segments(tmp_path)[0].digest

    one = digest("name: a\nwhen: {count: {type: x, at_least: 3, within: 1w}}")
    same = digest("name: b\ndescription: d\nwhen:\n  count:\n    within: 168h\n    at_least: 3\n"
                  "    type: 'x'\n")  # fmt: skip
    assert one == same
    assert one != digest("name: a\nwhen: {count: {type: x, at_least: 3, within: 8d}}")


@given(trees(leaves))
def test_any_definition_is_read_and_its_normal_form_means_the_same(
    tmp_path_factory: pytest.TempPathFactory, condition: dict[str, Any]
):
    folder = tmp_path_factory.mktemp("segments")
    (folder / "a.yaml").write_text(json.dumps({"name": "a", "when": condition}))
    first = load_segments(folder)[0]
    described = first.describe()
    assert json.loads(json.dumps(described)) == described
    amounts_as_numbers = json.loads(json.dumps(described["when"]), object_hook=_numbers)
    (folder / "a.yaml").write_text(json.dumps({"name": "a", "when": amounts_as_numbers}))
    assert load_segments(folder)[0].digest == first.digest


def _numbers(body: dict[str, Any]) -> dict[str, Any]:
    """Amounts are text in the normal form, so that they stay exact, and numbers in a file."""
    return {
        name: float(value) if name in ("at_least", "at_most") and isinstance(value, str) else value
        for name, value in body.items()
    }


@given(st.text(max_size=200))
@example("~")
def test_whatever_a_file_holds_the_answer_is_segments_or_problems(
    tmp_path_factory: pytest.TempPathFactory, text: str
):
    folder = tmp_path_factory.mktemp("segments")
    (folder / "a.yaml").write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(SegmentError, match=r"a\.yaml:\d+: "):
        load_segments(folder)


def test_the_definitions_that_we_ship_load():
    folder = Path(deploy.__file__).parent / "segments"
    segments = load_segments(folder)
    assert [f"{segment.name}.yaml" for segment in segments] == sorted(
        path.name for path in folder.glob("*.yaml")
    )
    assert all(segment.description for segment in segments)

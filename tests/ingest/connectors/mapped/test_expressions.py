"""Expressions: what is refused when they are read, and what they may cost and say when used."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from ingest.connectors.mapped.expression_analysis import copies, leading_path, list_path
from ingest.connectors.mapped.expressions import (
    MAX_LENGTH,
    MAX_STEPS,
    Expression,
    ExpressionError,
    Scope,
    TooMuchWorkError,
    holds,
)
from ingest.testing.values import JSON, MARK, RELAXED

SCOPE = Scope(
    {"x-event": "opened", "x-long": "a" * 513}, {"account": {"id": 7, "a-b": {"c": True}}}
)


def search(text: str, value: Any) -> Any:
    SCOPE.next_event()
    return Expression(text).search(value, SCOPE)


# When they are read


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("a.", "ends too early"),
        ("a[?b==", "ends too early"),
        ("user-id", "at character 5"),
        ("a b", "at character 3"),
        ("'open", "at character 1"),
        ('"\\ud8"', "at character 1"),
        ("uper(a)", "there is no function uper()"),
        ("length(a, b)", "length() takes 1 argument"),
        ("starts_with(a)", "starts_with() takes 2 arguments"),
        ("not_null()", "not_null() takes at least 1 argument"),
        ("sort_by(a, b)", "sort_by() takes an expression with & before it"),
        ("length(&a)", "& stands only before"),
        ("&a", "& stands only before"),
        ("a[?&b]", "& stands only before"),
        ("a[::0]", "steps of 0"),
        ("!a.b", "write !(a.b)"),
        ("c && !a.b.c", "write !(a.b)"),
        ("!keys(@)[?a]", "write !(a.b)"),
        ("!a[].b", "write !(a.b)"),
        ("!a.*", "write !(a.b)"),
        ("header(a)", "a name in single quotes"),
        ("header(`5`)", "a name in single quotes"),
        ("header('x-')", "the name of one header"),
        ("header('')", "the name of one header"),
        ("body('a[0]')", "a path of fields"),
        ("body('a.')", "ends too early"),
        ("a" * (MAX_LENGTH + 1), f"longer than {MAX_LENGTH} characters"),
        ("(" * 900 + "a" + ")" * 900, "nested too deeply"),
        ("[" * 100 + "a" + "]" * 100, "nested too deeply"),
        (" | ".join(["[@, @]"] * 5), "more than 16 times"),
        (" | ".join(["{a: @, b: @}"] * 5), "more than 16 times"),
        ("[a, a, a][].[b, b, b][].[c, c, c]", "more than 16 times"),
        ("map(&[@, @, @, @, @], [a, a, a, a])", "more than 16 times"),
        ("a[?" + "[@, @] | " * 5 + "b]", "more than 16 times"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_reason(text: str, reason: str):
    with pytest.raises(ValueError, match=re.escape(reason)) as error:
        Expression(text)
    assert "\n" not in str(error.value)


def test_an_expression_is_not_repeated_in_the_reason():
    for text in (f"{MARK}(", f"'{MARK}", f"a == '{MARK}' b"):
        with pytest.raises(ValueError, match="JMESPath") as error:
            Expression(text)
        assert MARK not in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b.c", 1),
        ("{x: a.b, y: a.c, z: a.c.d}", 2),
        ("{x: a, y: b || c, z: [d, e]}", 1),
        ("[a, a.b, a.b.c]", 3),
        ("[@, @]", 2),
        ("[a, a] | [@, @]", 4),
        ("a[].[@, b]", 2),
        ("[merge(a, b), a]", 2),
        ("not_null(a, 'x', 'x')", 1),
    ],
)
def test_copies_are_counted(text: str, expected: int):
    assert copies(Expression(text).node) == expected


def test_a_mapping_of_many_fields_of_one_object_is_no_repetition():
    fields = ", ".join(f"f{i}: payload.field_{i}" for i in range(60))
    assert copies(Expression(f"{{{fields}}}").node) == 1


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.b", ("a", "b")),
        ("a.b[]", ("a", "b")),
        ("a[*]", ("a",)),
        ("[]", ()),
        ("@", ()),
        ("a[?b]", None),
        ("a[].b", None),
        ("a[0]", None),
        ("[a]", None),
        ("a | b", None),
    ],
)
def test_the_place_of_a_list_is_known_where_it_is_all_that_is_asked(text: str, path: Any):
    assert list_path(Expression(text).node) == path


def test_what_is_read_as_it_is():
    assert Expression("join(' ', [a.b, c])").reads == {("a", "b"), ("c",)}
    assert Expression("a.b || not_null(c, d[0].e)").reads == {("a", "b"), ("c",)}
    assert Expression("a[?b].c").reads == set()
    assert leading_path(Expression("a.b[0].c").node) == ("a", "b")


# When they are used


def test_they_give_what_jmespath_gives():
    event = {"a": {"b": [{"c": 1}, {"c": 2}], "d": "x"}, "n": None}
    for text in ("a.d", "a.b[*].c", "a.b[?c > `1`] | [0].c", "n", "n.x", "a.d.x", "@", "keys(a)"):
        assert search(text, event) == jmespath.search(text, event)


def test_headers_and_the_body_give_scalars():
    assert search("header('X-Event')", {}) == "opened"
    assert search("header('x-none')", {}) is None
    assert search("header('x-long')", {}) is None
    assert search("body('account.id')", {}) == 7
    assert search("""body('account."a-b".c')""", {}) is True
    assert search("body('account')", {}) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("starts_with(a, 'x')", "starts_with() was given null, it takes string"),
        ("sum(b)", "sum() was given string, it takes array of number"),
        ("join(',', b)", "cannot"),
        ("sort_by(c, &d)", "sort_by() was given"),
        ("e > f", "cannot be computed from this event"),
        ("avg(g)", "cannot be computed from this event"),
        ("ceil(to_number('1e999'))", "cannot be computed from this event"),
        ("abs(b)", "abs() was given array, it takes number"),
    ],
)
def test_what_cannot_be_computed_is_said_without_a_value(text: str, reason: str):
    event = {
        "b": [MARK], "c": [{"d": MARK}, {"d": 1}], "e": 1, "f": MARK, "g": [10**400, 0.5],
    }  # fmt: skip
    if reason == "cannot":
        assert search(text, event) == MARK
        return
    with pytest.raises(ExpressionError) as error:
        search(text, event)
    assert reason in str(error.value)
    assert MARK not in str(error.value)
    assert error.value.__cause__ is None
    with pytest.raises((JMESPathError, ArithmeticError, TypeError)):
        jmespath.search(text, event)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), (False, False), ("", False), ([], False), ({}, False), (0, True), ("x", True)],
)
def test_truth_is_that_of_jmespath(value: Any, expected: bool):
    assert holds(value) is expected


# What they may cost


def escaping(times: int) -> str:
    """Text within text within text: its backslashes double each time."""
    return "to_string([" * times + "a" + "])" * times


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("a[?b == `1`].c", {"a": [{"b": 1, "c": 1}] * (MAX_STEPS // 4)}),
        ("join(sep, a)", {"sep": "x" * 100_000, "a": ["y"] * 100_000}),
        (escaping(28), {"a": '"'}),
        ("a[].join(header('x-event'), [@, @, @, @, @, @])", {"a": ["x" * 10] * (MAX_STEPS // 4)}),
    ],
)
def test_too_much_work_is_stopped(text: str, event: Any):
    with pytest.raises(TooMuchWorkError):
        search(text, event)
    assert search("a", {"a": 1}) == 1


def test_each_event_has_steps_of_its_own():
    expression = Expression("a[*].b")
    event = {"a": [{"b": 1}] * (MAX_STEPS // 4)}
    for _ in range(3):
        SCOPE.next_event()
        assert len(expression.search(event, SCOPE)) == MAX_STEPS // 4


# Any expression, any event

NAMES = st.sampled_from(["a", "b", "c"])
GIVEN_BY = {
    "{x: A, y: B}", "[A, B]", "A | B", "A || B", "A && B", "!A", "A[0]", "A[*].B", "A[].B", "A.B",
    "A[?B].C", "A == B", "A > B", "A.*", "merge(A, B)", "not_null(A, B)", "map(&A, B)", "A[::2]",
    "to_string(A)", "to_number(A)", "join(A, B)", "sort_by(A, &B)", "keys(A)", "values(A)",
    "sum(A)", "avg(A)", "max(A)", "reverse(A)", "contains(A, B)", "length(A)", "floor(A)",
    "starts_with(A, B)", "to_array(A)", "type(A)", "header('x-event')", "body('account.id')",
}  # fmt: skip


def _filled(parts: tuple[str, str, str, str]) -> str:
    text, *inside = parts
    return "".join(inside["ABC".index(c)] if c in "ABC" else c for c in text)


EXPRESSIONS = st.recursive(
    NAMES | st.sampled_from(["@", "'a'", "`1`", "`[1, 2]`", "*"]),
    lambda inner: st.tuples(st.sampled_from(sorted(GIVEN_BY)), inner, inner, inner).map(_filled),
    max_leaves=8,
)
EVENTS = st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=3), max_size=3)


def compiled(text: str) -> Expression | None:
    try:
        return Expression(text)
    except ValueError:
        return None


@RELAXED
@given(text=st.text(alphabet="ab.[]{}()|&*?:,@!=<>`'\"01- ", max_size=30))
def test_any_text_is_an_expression_or_refused(text: str):
    compiled(text)


@RELAXED
@given(text=EXPRESSIONS, event=EVENTS)
def test_any_expression_gives_a_value_or_says_why_not(text: str, event: Any):
    expression = compiled(text)
    if expression is None:
        return
    SCOPE.next_event()
    with suppress(ExpressionError):
        json.dumps(expression.search(event, SCOPE))


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one)]
    return [value] if isinstance(value, str) and value.startswith("leaf") else []


LEAFY = {
    name: {inner: [f"leaf {name}{inner}{i}" for i in range(2)] for inner in "abc"} for name in "abc"
}


@RELAXED
@given(text=EXPRESSIONS)
def test_no_part_of_an_event_is_repeated_more_often_than_was_counted(text: str):
    expression = compiled(text)
    if expression is None:
        return
    SCOPE.next_event()
    try:
        found = _leaves(expression.search(LEAFY, SCOPE))
    except ExpressionError:
        return
    most = max(map(found.count, found), default=0)
    assert most <= copies(expression.node)


@pytest.mark.parametrize("text", ["!(a.b)", "!a", "!a[0]", "!length(a)", "a[?!b]", "!a && b.c"])
def test_a_denial_of_one_name_or_of_what_is_in_brackets_is_read(text: str):
    Expression(text)


# digest()

DIGEST = Expression("digest([kind, at.{day: day, hour: hour}])")


def digest(event: dict[str, Any]) -> Any:
    return DIGEST.search(event, Scope({}, event))


def test_a_digest_is_the_same_for_the_same_and_tells_apart_what_differs():
    event = {"kind": "a", "at": {"day": 1, "hour": 2}, "more": 5}
    same = {"at": {"hour": 2, "day": 1}, "kind": "a", "more": 6}
    others = [{**event, "kind": "b"}, {**event, "at": {"day": 2, "hour": 1}}, {"kind": "a"}]
    assert digest(event) == digest(same)
    assert len({digest(one) for one in (event, *others)}) == 4


def test_what_is_digested_is_a_property_still():
    assert DIGEST.reads == frozenset()

"""The demo's proofs hold for the right answers, and each fails for a wrong one."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from deploy.demo.cdnow import Purchase, totals
from deploy.demo.generate import Traffic
from deploy.demo.proof import compare_events, prove
from deploy.demo.send import Ledger
from schemas.identifiers import Identifier, identifier_id

EVENTS = {("shop", "1"), ("shop", "2"), ("line", "1")}
ROWS = [
    Purchase(1, "00001", 0, 1, Decimal("1.10")),
    Purchase(2, "00002", 0, 2, Decimal("2.25")),
]
OWNED, SHARED = Identifier("email", "a@example.com"), Identifier("anonymous_id", "tablet")
TRAFFIC = Traffic([], [], ROWS, totals(ROWS), {OWNED: "00001", SHARED: None})

#: Part of a query -> its rows, when all is well. The first that fits answers.
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "event_id, count()": [{"source": s, "event_id": e, "n": 1} for s, e in EVENTS],
    "AS hourly": [{"profiles": 3, "daily": 3, "hourly": 3}],
    "sum(value_amount) AS amount FROM touchline_bi.touchpoints": [{"n": 2, "amount": "3.35"}],
    "sum(orders)": [{"n": 2, "amount": "3.350000"}],
    "FROM touchline_bi.engagement_daily WHERE": [{"n": 2, "amount": "3.35"}],
    "orders > 0": [
        {"customer_id": "00001", "orders": 1, "amount": "1.1"},
        {"customer_id": "00002", "orders": 1, "amount": "2.25"},
    ],
    "rejected_touchpoints": [{"source": "shop", "reason": "invalid", "n": 2}],
    "identities": [
        {**OWNED._asdict(), "profile_id": identifier_id("customer_id", "00001")},
        {**SHARED._asdict(), "profile_id": identifier_id(*SHARED)},
    ],
}


class Views:
    """ClickHouse with set answers."""

    def __init__(self, answers: Mapping[str, list[dict[str, Any]]]) -> None:
        self.answers = answers

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        return next(rows for part, rows in self.answers.items() if part in sql)


def ledger() -> Ledger:
    return Ledger(accepted=set(EVENTS), refused=Counter({("shop", "invalid"): 2}), requests=3)


def failures(answers: Mapping[str, list[dict[str, Any]]], told: Ledger | None = None) -> list[str]:
    checks = prove(Views(answers), told or ledger(), TRAFFIC)  # type: ignore[arg-type]
    return [check.claim for check in checks if not check.holds]


def test_all_hold_when_all_is_as_it_was_sent() -> None:
    assert failures(ANSWERS) == []


@pytest.mark.parametrize(
    ("query", "column", "value", "failing"),
    [
        ("event_id, count()", "n", 2, "exactly once"),
        ("event_id, count()", "event_id", "other", "exactly once"),
        ("AS hourly", "profiles", 4, "counted once"),
        ("AS hourly", "daily", None, "counted once"),
        ("sum(value_amount) AS amount FROM touchline_bi.touchpoints", "amount", "3.36", "in touch"),
        ("sum(orders)", "n", 1, "in profiles"),
        ("sum(orders)", "amount", None, "in profiles"),
        ("FROM touchline_bi.engagement_daily WHERE", "amount", "3.34", "in engagement"),
        ("orders > 0", "amount", "1.11", "each customer's"),
        ("orders > 0", "customer_id", "00003", "each customer's"),
        ("rejected_touchpoints", "n", 1, "malformed"),
        ("rejected_touchpoints", "n", 3, "malformed"),
        ("rejected_touchpoints", "reason", "unreadable", "malformed"),
        ("identities", "profile_id", identifier_id("customer_id", "00002"), "right customers"),
    ],
)
def test_one_wrong_number_fails_its_proof(
    query: str, column: str, value: object, failing: str
) -> None:
    answers = copy.deepcopy(ANSWERS)
    answers[query][0][column] = value
    failed = failures(answers)
    assert len(failed) == 1
    assert failing in failed[0]


def test_a_repeated_request_may_leave_its_refusals_twice() -> None:
    answers = {**ANSWERS, "rejected_touchpoints": [{"source": "shop", "reason": "invalid", "n": 3}]}
    told = ledger()
    told.waits = 1
    assert failures(answers, told) == []


def test_an_unexpected_answer_of_the_gateway_fails() -> None:
    told = ledger()
    told.problems.append("shop: answered 500, expected 200")
    assert len(failures(ANSWERS, told)) == 1


@pytest.mark.parametrize(
    ("stored", "fault"),
    [
        (dict.fromkeys(EVENTS - {("line", "1")}, 1), "1 missing"),
        ({**dict.fromkeys(EVENTS, 1), ("line", "1"): 2}, "1 doubled"),
        ({**dict.fromkeys(EVENTS, 1), ("line", "2"): 1}, "1 foreign"),
    ],
)
def test_the_fault_is_named(stored: dict[tuple[str, str], int], fault: str) -> None:
    assert fault in compare_events(EVENTS, stored).detail

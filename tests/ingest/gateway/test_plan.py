"""Tracking plans over a real socket: warned of or refused, and visible either way."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from ingest.gateway.config import Source
from ingest.intake.plan import Plan
from ingest.intake.violations import EXAMPLE_EVERY_S, MAX_EXAMPLE_BYTES
from schemas.topics import VIOLATIONS
from tests.support.gateway import BASIC, BEARER, Gateway, serving, sources
from tests.support.gateway_metrics import Counts
from tests.support.gateway_requests import line_body, line_signed, store_visit

SCHEMAS = {
    "plan_chosen": {
        "properties": {
            "properties": {
                "required": ["plan"],
                "properties": {"plan": {"enum": ["free", "pro"]}, "seats": {"type": "integer"}},
            }
        }
    },
    "order_completed": {"required": ["value"]},
}
GOOD = {"plan": "pro", "seats": 3}
BAD = {"plan": "vErY-pRiVaTe", "seats": "3"}


def planned(*, rejects: bool) -> list[Source]:
    plan = Plan(SCHEMAS, rejects=rejects)
    return [replace(source, plan=plan) for source in sources()]


def chosen(event_id: str, properties: dict[str, Any]) -> dict[str, Any]:
    return store_visit(event_id, type="plan_chosen", properties=properties)


def violations(gateway: Gateway) -> list[dict[str, Any]]:
    return [msgspec.json.decode(r.value) for r in gateway.publisher.of(VIOLATIONS.name)]


async def test_warn_accepts_and_tells_what_was_expected_what_came_and_an_example() -> None:
    counts = Counts()
    async with serving(given=planned(rejects=False), metrics=counts) as gateway:
        events = [chosen("good", GOOD), chosen("bad", BAD)]
        answer = await gateway.post("/v1/events", events, headers=BEARER)
        assert (answer.status, answer.json["accepted"]) == (202, 2)
        assert [row["event_id"] for row in gateway.accepted] == ["good", "bad"]
        assert gateway.rejected == []
        found = {row["place"]: row for row in violations(gateway)}
        by_key = {r.key.decode() for r in gateway.publisher.of(VIOLATIONS.name)}
    assert found.keys() == {"properties.plan", "properties.seats"}
    plan = found["properties.plan"]
    assert plan.pop("violation_id") in by_key
    assert json.loads(base64.b64decode(plan.pop("payload_base64"))) == events[1]
    assert plan == {
        "source": "crm",
        "type": "plan_chosen",
        "event_id": "bad",
        "place": "properties.plan",
        "rule": "enum",
        "expected": 'enum ["free", "pro"]',
        "came": "string",
        "action": "warned",
        "received_at": "2026-09-21T14:13:20.000Z",
    }
    assert counts.events["violated", "crm", "plan_chosen", "warned"] == 1
    assert counts.events["accepted", "crm", "touchpoint"] == 2


async def test_reject_refuses_and_says_why_without_a_value() -> None:
    counts = Counts()
    async with serving(given=planned(rejects=True), metrics=counts) as gateway:
        events = [chosen("good", GOOD), chosen("bad", BAD)]
        answer = await gateway.post("/v1/events", events, headers=BEARER)
        assert answer.status == 202
        verdicts = [(r["status"], r["reason"]) for r in answer.json["results"]]
        assert verdicts == [("accepted", None), ("rejected", "violates_plan")]
        detail = answer.json["results"][1]["detail"]
        [row] = gateway.rejected
        assert [r["action"] for r in violations(gateway)] == ["rejected"] * 2
        alone = await gateway.post("/v1/events", chosen("bad", BAD), headers=BEARER)
        assert alone.status == 400
    assert 'properties.plan: expected enum ["free", "pro"], came string' in detail
    assert "vErY" not in detail
    assert (row["reason"], row["detail"]) == ("violates_plan", detail)
    assert json.loads(row["payload"]) == events[1]
    assert counts.events["violated", "crm", "plan_chosen", "rejected"] == 2
    assert counts.events["rejected", "crm", "touchpoint", "violates_plan"] == 2


async def test_a_type_that_is_not_planned_is_no_label() -> None:
    counts = Counts()
    async with serving(given=planned(rejects=False), metrics=counts) as gateway:
        body = {"event": "Made Up 0815", "userId": "u", "messageId": "m"}
        assert (await gateway.post("/v1/track", body, headers=BASIC)).status == 200
        [row] = violations(gateway)
    assert (row["type"], row["rule"], row["place"]) == ("made_up_0815", "unplanned", "type")
    assert counts.events["violated", "shop", "", "warned"] == 1


async def test_a_plan_is_about_what_any_connector_has_read() -> None:
    async with serving(given=planned(rejects=True)) as gateway:
        order = {"event": "Order Completed", "userId": "u", "properties": {"order_id": "o"}}
        answer = await gateway.post("/v1/track", order, headers=BASIC)
        assert (answer.status, "value: expected a value" in answer.json["message"]) == (400, True)
        order["properties"] = {"order_id": "o", "revenue": 5}
        assert (await gateway.post("/v1/track", order, headers=BASIC)).status == 200
        # A provider can do nothing about our plan, and would send it again for days.
        body = line_body("hello")
        assert (await gateway.post("/hooks/line", body, headers=line_signed(body))).status == 200
        assert [row["reason"] for row in gateway.rejected] == ["violates_plan"] * 2


async def test_a_source_without_a_plan_is_compared_with_none() -> None:
    given = [planned(rejects=True)[0], *sources()[1:]]
    async with serving(given=given) as gateway:
        assert (await gateway.post("/v1/events", chosen("e", BAD), headers=BEARER)).status == 202
        assert violations(gateway) == []


async def test_an_event_that_is_refused_for_another_reason_violates_nothing() -> None:
    async with serving(given=planned(rejects=True)) as gateway:
        event = {**chosen("e", BAD), "identifiers": []}
        assert (await gateway.post("/v1/events", event, headers=BEARER)).status == 400
        assert [row["reason"] for row in gateway.rejected] == ["no_identifier"]
        assert violations(gateway) == []


async def test_a_redelivery_is_the_same_violation() -> None:
    async with serving(given=planned(rejects=False)) as gateway:
        for event_id in ("e", "e", "other"):
            await gateway.post("/v1/events", chosen(event_id, {}), headers=BEARER)
        ids = [row["violation_id"] for row in violations(gateway)]
    assert ids[0] == ids[1] != ids[2]


async def test_examples_are_few_and_short() -> None:
    now = [0.0]
    async with serving(given=planned(rejects=False), monotonic=lambda: now[0]) as gateway:
        large = {"x": "y" * 100_000}
        for moment, event_id in ((0, "a"), (1, "b"), (EXAMPLE_EVERY_S, "c")):
            now[0] = moment
            await gateway.post("/v1/events", chosen(event_id, large), headers=BEARER)
        kept = {r["event_id"]: base64.b64decode(r["payload_base64"]) for r in violations(gateway)}
    assert [len(example) for example in kept.values()] == [MAX_EXAMPLE_BYTES, 0, MAX_EXAMPLE_BYTES]


async def test_nothing_is_answered_before_kafka_has_the_violations() -> None:
    async with serving(given=planned(rejects=False)) as gateway:
        gateway.publisher.outage = "Kafka is away"
        assert (await gateway.post("/v1/events", chosen("e", BAD), headers=BEARER)).status == 503
        assert gateway.publisher.records == []


@pytest.mark.parametrize("rejects", [True, False])
async def test_the_log_holds_nothing_of_it(rejects: bool) -> None:
    structlog.reset_defaults()
    with capture_logs() as logs:
        async with serving(given=planned(rejects=rejects)) as gateway:
            event = {**chosen("private-id", BAD), "type": "private-type"}
            for sent in (chosen("private-id", BAD), event):
                await gateway.post("/v1/events", sent, headers=BEARER)
            assert len(violations(gateway)) == 3
    assert logs
    assert not any(word in json.dumps(logs) for word in ("vErY", "private", "seats"))

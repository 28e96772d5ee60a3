"""`/v1/events` over a real socket: touchpoints and CloudEvents."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.support.gateway import BEARER, Gateway
from tests.support.gateway_requests import store_visit


async def test_one_touchpoint(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/events", store_visit("e1"), headers=BEARER)
    assert answer.status == 202
    assert answer.json == {
        "accepted": 1,
        "rejected": 0,
        "results": [{"event_id": "e1", "status": "accepted", "reason": None, "detail": None}],
    }
    [row] = gateway.accepted
    assert (row["source"], row["event_id"]) == ("crm", "e1")


async def test_a_list_is_answered_in_its_order(gateway: Gateway) -> None:
    events = [
        store_visit("a"),
        store_visit("b", identifiers=[]),
        store_visit("c", channel=7),
        store_visit("d"),
    ]
    answer = await gateway.post("/v1/events", events, headers=BEARER)
    assert answer.status == 202
    assert (answer.json["accepted"], answer.json["rejected"]) == (2, 2)
    assert [(r["event_id"], r["status"], r["reason"]) for r in answer.json["results"]] == [
        ("a", "accepted", None),
        ("b", "rejected", "no_identifier"),
        ("c", "rejected", "invalid"),
        ("d", "accepted", None),
    ]
    assert "channel" in answer.json["results"][2]["detail"]
    assert [msgspec.json.decode(row["payload"]) for row in gateway.rejected] == events[1:3]


async def test_a_batch_of_bad_events_is_taken_as_a_batch(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/events", [{}, 1], headers=BEARER)
    assert (answer.status, answer.json["rejected"]) == (202, 2)
    assert len(gateway.rejected) == 2


async def test_an_empty_list_is_fine(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/events", [], headers=BEARER)
    assert (answer.status, answer.json) == (202, {"accepted": 0, "rejected": 0, "results": []})


@pytest.mark.parametrize(
    "single", [store_visit("e", channel="NO"), [store_visit("e", channel="NO")]]
)
async def test_the_one_event_that_is_invalid_is_400(gateway: Gateway, single: Any) -> None:
    answer = await gateway.post("/v1/events", single, headers=BEARER)
    assert answer.status == 400
    assert (answer.json["code"], answer.json["rejected"]) == ("invalid_request", 1)
    assert "channel" in answer.json["message"]
    assert answer.json["results"][0]["event_id"] == "e"
    assert gateway.rejected[0]["reason"] == "invalid"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"null", b'"x"', b"\x00", b"NaN"])
async def test_an_unreadable_body_is_400_and_kept(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.post("/v1/events", body, headers=BEARER)
    assert answer.status == 400
    assert answer.json["results"][0]["reason"] == "unreadable"
    assert [(r["reason"], r["payload"]) for r in gateway.rejected] == [("unreadable", body)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dG9rLWNybTo="},
        {"Authorization": "Bearer wk-shop"},
        {"Authorization": "Bearer \u00fc\u00fc"},
    ],
)
async def test_without_a_valid_token_nothing_is_kept(
    gateway: Gateway, headers: dict[str, str]
) -> None:
    answer = await gateway.post("/v1/events", store_visit("e"), headers=headers)
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert gateway.publisher.records == []


class TestCloudEvents:
    DATA: dict[str, Any] = {  # noqa: RUF012 - read only
        "channel": "store",
        "type": "store_visited",
        "identifiers": [{"kind": "customer_id", "value": "c"}],
    }

    def event(self, n: int, **more: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": str(n),
            "source": "/tills/7",
            "type": "touch",
            "time": "2026-09-20T10:00:00Z",
            "data": self.DATA,
            **more,
        }

    async def test_binary(self, gateway: Gateway) -> None:
        headers = {
            "ce-specversion": "1.0",
            "ce-id": "1",
            "ce-source": "/tills/7",
            "ce-type": "touch",
            "ce-time": "2026-09-20T10:00:00Z",
            "Content-Type": "application/json",
        }
        answer = await gateway.post("/v1/events", self.DATA, headers={**BEARER, **headers})
        assert answer.status == 202
        assert gateway.accepted[0]["occurred_at"] == "2026-09-20T10:00:00.000Z"

    async def test_structured(self, gateway: Gateway) -> None:
        kind = {"Content-Type": "application/cloudevents+json"}
        answer = await gateway.post("/v1/events", self.event(1), headers={**BEARER, **kind})
        assert answer.status == 202
        assert len(gateway.accepted) == 1

    async def test_batch_is_answered_in_its_order(self, gateway: Gateway) -> None:
        kind = {"Content-Type": "application/cloudevents-batch+json"}
        events = [self.event(1), self.event(2, data=None), self.event(3)]
        answer = await gateway.post("/v1/events", events, headers={**BEARER, **kind})
        assert answer.status == 202
        assert [r["status"] for r in answer.json["results"]] == ["accepted", "rejected", "accepted"]

    async def test_half_characters_in_a_header_do_no_harm(self, gateway: Gateway) -> None:
        head = (
            b"POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Authorization: Bearer tok-crm\r\nce-specversion: 1.0\r\nce-id: a\xff\xfeb\r\n"
            b"ce-source: /x\r\nce-type: t\r\nContent-Length: %d\r\n\r\n"
        )
        body = msgspec.json.encode(self.DATA)
        answer = await gateway.raw(head % len(body) + body)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 202"))
        assert await gateway.healthy()

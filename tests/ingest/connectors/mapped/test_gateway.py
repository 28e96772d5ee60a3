"""A mapped source behind the gateway: what is answered, and what is kept of a batch."""

from __future__ import annotations

import json

from ingest.connectors.mapped.contract import MAPPING
from ingest.testing.values import RECEIVED_MS
from tests.ingest.connectors.mapped.mappings import MINIMAL, PAYLOADS, TOKEN
from tests.support.gateway import serving, source

HEADERS = {"X-Token": "s", "X-Shop": "tokyo"}


async def test_of_a_batch_only_the_wrong_event_is_kept_and_never_its_token() -> None:
    body = json.loads(json.dumps(PAYLOADS["batch"]))
    body["data"]["items"][1]["at"] = "yesterday"
    options = {"signature": TOKEN, "mapping": MAPPING}
    given = [source("it", "mapped", options)]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        assert (await gateway.post("/hooks/it", body, headers={"X-Shop": "tokyo"})).status == 401
        assert gateway.rejected == []
        answer = await gateway.post("/hooks/it", body, headers=HEADERS)
        assert (answer.status, answer.body) == (200, b"")
        assert [row["event_id"] for row in gateway.accepted] == [
            "7:tokyo:1",
            "7:tokyo:3",
            "7:tokyo:4",
        ]
        (row,) = gateway.rejected
        assert json.loads(row["payload"]) == body["data"]["items"][1]
        assert row["detail"] == "occurred_at: must be a time in its format"
        assert "x-shop" in row["request"]
        assert "x-token" not in row["request"]


async def test_an_event_that_the_mapping_does_not_take_is_no_fault_of_the_provider() -> None:
    rules = {**MINIMAL, "unknown": "reject", "rules": [{"when": "kind == 'a'"}]}
    given = [source("it", "mapped", {"signature": TOKEN, "mapping": rules})]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        event = {"kind": "b", "email": "hanako@example.com"}
        assert (await gateway.post("/hooks/it", event, headers=HEADERS)).status == 200
        assert [row["reason"] for row in gateway.rejected] == ["unsupported"]
        assert (await gateway.post("/hooks/it", 5, headers=HEADERS)).status == 400

"""The Segment protocol over a real socket."""

from __future__ import annotations

import base64
import gzip
import zlib
from typing import Any

import pytest

from tests.support.gateway import BASIC, NOW_MS, WRITE_KEY, Gateway

CALLS: dict[str, dict[str, Any]] = {
    "track": {"event": "Order Completed", "properties": {"revenue": 12.5, "currency": "JPY"}},
    "identify": {"traits": {"email": "Hanako@Example.com", "name": "山田 花子 🌸"}},
    "page": {"name": "Home", "context": {"page": {"url": "https://shop.example/"}}},
    "screen": {"name": "Start"},
    "group": {"groupId": "g1"},
    "alias": {"previousId": "anon-1"},
}


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("call", CALLS)
async def test_each_call_under_its_long_and_short_path(
    gateway: Gateway, call: str, short: bool
) -> None:
    path = f"/v1/{call[0] if short else call}"
    answer = await gateway.post(path, {"userId": "u1", **CALLS[call]}, headers=BASIC)
    assert (answer.status, answer.body) == (200, b'{"success": true}')
    assert answer.headers["Content-Type"].startswith("application/json")
    [row] = gateway.accepted
    assert row["source"] == "shop"
    assert row["lead_kind"] == "customer_id"
    assert row["lead_value"] == "u1"


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/b", "/beacon/v1/batch?writeKey=wk-blog"])
async def test_batches(gateway: Gateway, path: str) -> None:
    batch = [{"type": "track", "event": f"E {n}", "userId": f"u{n}"} for n in range(3)]
    headers = {} if "?" in path else BASIC
    answer = await gateway.post(path, {"batch": batch}, headers=headers)
    assert (answer.status, answer.json) == (200, {"success": True})
    assert [row["lead_value"] for row in gateway.accepted] == ["u0", "u1", "u2"]
    assert {row["source"] for row in gateway.accepted} == {"blog" if "?" in path else "shop"}


async def test_an_empty_batch_is_fine(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/batch", {"batch": []}, headers=BASIC)
    assert (answer.status, answer.json) == (200, {"success": True})
    assert gateway.publisher.records == []


@pytest.mark.parametrize(
    "shown",
    [
        {"headers": BASIC},
        {"body": {"writeKey": WRITE_KEY}},
        {"query": f"?writeKey={WRITE_KEY}"},
        {"body": {"writeKey": "wk-old"}},
    ],
)
async def test_the_write_key_finds_the_source(gateway: Gateway, shown: dict[str, Any]) -> None:
    body = {"event": "X", "userId": "u", **shown.get("body", {})}
    answer = await gateway.post(
        "/v1/track" + shown.get("query", ""), body, headers=shown.get("headers")
    )
    assert answer.status == 200
    assert gateway.accepted[0]["source"] == "shop"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {"event": "X", "userId": "u"}),
        ({}, {"event": "X", "userId": "u", "writeKey": "wrong"}),
        ({}, {"event": "X", "userId": "u", "writeKey": {"a": 1}}),
        ({"Authorization": "Basic d3Jvbmc6"}, {"event": "X", "userId": "u"}),
        ({"Authorization": "Basic %%%"}, {"event": "X", "userId": "u"}),
        ({"Authorization": "Bearer wk-shop"}, {"event": "X", "userId": "u"}),
        ({}, b"not json"),
        ({}, b""),
        ({}, b"{" * 10_000),
    ],
)
async def test_without_a_valid_key_nothing_is_kept(
    gateway: Gateway, headers: dict[str, str], body: Any
) -> None:
    answer = await gateway.post("/v1/track", body, headers=headers)
    assert answer.status == 401
    assert answer.json["code"] == "unauthorized"
    assert gateway.publisher.records == []


async def test_a_password_beside_the_key_is_ignored(gateway: Gateway) -> None:
    user = base64.b64encode(f"{WRITE_KEY}:secret".encode()).decode()
    answer = await gateway.post(
        "/v1/track", {"event": "X", "userId": "u"}, headers={"Authorization": f"Basic {user}"}
    )
    assert answer.status == 200


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "nonsense"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw-deflate", ""])
async def test_compressed_or_not_whatever_the_content_type_says(
    gateway: Gateway, kind: str, encoding: str
) -> None:
    body = b'{"event":"X","userId":"u"}'
    packed = {
        "gzip": gzip.compress(body, mtime=0),
        "deflate": zlib.compress(body),
        "raw-deflate": zlib.compress(body)[2:-4],
        "": body,
    }[encoding]
    headers = {**BASIC, "Content-Type": kind}
    if encoding:
        headers["Content-Encoding"] = encoding.removeprefix("raw-")
    answer = await gateway.post("/v1/track", packed, headers=headers)
    assert answer.status == 200
    assert len(gateway.accepted) == 1


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, b"not json", "unreadable"),
        ({}, b"", "unreadable"),
        ({}, b"[1, 2]", "unreadable"),
        ({"Content-Encoding": "gzip"}, b'{"event":"X"}', "unreadable"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b'{"event":"X"}', mtime=0)[:-9], "unreadable"),
        ({"Content-Encoding": "br"}, b"whatever", "unreadable"),
        ({}, b'{"userId":"u"}', "invalid"),
        ({}, b'{"event":"X"}', "no_identifier"),
        ({}, b'{"event":"X","userId":"u","timestamp":"1903-01-01T00:00:00Z"}', "invalid_time"),
        ({}, b'{"event":"X","userId":{"a":1}}', "invalid"),
    ],
)
async def test_what_is_refused_is_kept_with_its_bytes(
    gateway: Gateway, headers: dict[str, str], body: bytes, reason: str
) -> None:
    answer = await gateway.post("/v1/track", body, headers={**BASIC, **headers})
    assert answer.status == 400
    assert answer.json["code"] == "invalid_request"
    assert answer.json["message"]
    [row] = gateway.rejected
    assert (row["payload"], row["reason"]) == (body, reason)
    assert (row["source"], row["connector"]) == ("shop", "segment")
    assert row["received_at"] == "2026-09-21T14:13:20.000Z"
    assert gateway.accepted == []


async def test_of_a_batch_the_good_part_is_accepted_and_the_bad_kept(gateway: Gateway) -> None:
    batch = [
        {"type": "track", "event": "Good", "userId": "u1"},
        {"type": "track", "event": "Nobody"},
        {"type": "wat", "userId": "u2"},
        "no object",
        {"type": "track", "event": "切れた😀", "userId": "太郎"},
    ]
    answer = await gateway.post("/v1/batch", {"batch": batch}, headers=BASIC)
    assert (answer.status, answer.json) == (200, {"success": True})
    assert [row["lead_value"] for row in gateway.accepted] == ["u1", "太郎"]
    assert [(row["reason"], row["payload"]) for row in gateway.rejected] == [
        ("no_identifier", b'{"type":"track","event":"Nobody"}'),
        ("invalid", b'{"type":"wat","userId":"u2"}'),
        ("invalid", b'"no object"'),
    ]


async def test_too_many_events_are_400_here(gateway: Gateway) -> None:
    batch = [{"type": "page", "userId": "u"}] * 10_001
    answer = await gateway.post("/v1/batch", {"batch": batch}, headers=BASIC)
    assert answer.status == 400
    assert gateway.rejected[0]["reason"] == "too_many"


class TestBrowsers:
    PATHS = ("/v1/track", "/v1/t", "/v1/batch", "/b", "/beacon/v1/batch", "/sourceConfig")

    @pytest.mark.parametrize("path", [*PATHS, "/v1/projects/wk-shop/settings"])
    async def test_are_told_what_they_may_send(self, gateway: Gateway, path: str) -> None:
        answer = await gateway.call("OPTIONS", path, headers={"Origin": "https://shop.example"})
        assert answer.status == 204
        allowed = answer.headers["Access-Control-Allow-Headers"]
        assert set(allowed.split(", ")) >= {
            "Authorization", "Content-Type", "X-Retry-Count", "AnonymousId",
        }  # fmt: skip
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]

    async def test_can_read_every_reply(self, gateway: Gateway) -> None:
        for headers in ({}, BASIC):
            answer = await gateway.post("/v1/track", {"event": "X"}, headers=headers)
            assert answer.status in (400, 401)
            assert answer.headers["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_get_the_settings_of_analytics_next(self, gateway: Gateway, method: str) -> None:
        answer = await gateway.call(method, "/v1/projects/wk-shop/settings")
        assert answer.status == 200
        if method == "GET":
            segment = answer.json["integrations"]["Segment.io"]
            assert segment["apiKey"] == "wk-shop"
            assert segment["apiHost"] == "touch.example.com/v1"
            assert segment["protocol"] == "https"
        missing = await gateway.call(method, "/v1/projects/unknown/settings")
        assert missing.status == 404

    @pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/"])
    async def test_get_the_source_config_of_rudderstack(self, gateway: Gateway, path: str) -> None:
        answer = await gateway.call("GET", f"{path}?p=web&v=3", headers=BASIC)
        assert answer.status == 200
        config = answer.json["source"]
        assert config["enabled"] is True
        assert (config["id"], config["destinations"]) == ("shop", [])
        assert isinstance(config["config"], dict)
        by_query = await gateway.call("GET", f"{path}?writeKey=wk-blog")
        assert by_query.json["source"]["id"] == "blog"
        assert (await gateway.call("GET", path)).status == 401


async def test_rows_carry_the_time_of_receipt(gateway: Gateway) -> None:
    await gateway.post("/v1/page", {"userId": "u"}, headers=BASIC)
    [row] = gateway.accepted
    assert row["received_at"] == row["occurred_at"] == "2026-09-21T14:13:20.000Z"
    assert NOW_MS == 1_790_000_000_000

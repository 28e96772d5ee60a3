"""Calls in the address of a picture, imports, merges, and slashes at the end, over a socket."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.gateway import BASIC, BEARER, PUBLIC_URL, WRITE_KEY, Gateway
from tests.support.gateway_requests import SMS, line_body, line_signed, store_visit, twilio

OPENED = {"userId": "u1", "event": "Email Opened", "properties": {"subject": "News"}}


def encoded(call: dict[str, Any], url_safe: bool = False) -> str:
    text = json.dumps(call).encode()
    found = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(text).decode()
    return found.rstrip("=") if url_safe else found


def flat(call: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in call.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = str(value)
    return found


def keyed(call: dict[str, Any]) -> dict[str, Any]:
    return {"writeKey": WRITE_KEY, **call}


QUERIES = {
    "base64": urlencode({"data": encoded(keyed(OPENED))}),
    "not escaped": "data=" + encoded(keyed({**OPENED, "properties": {"subject": "?>>?~~"}})),
    "base64url": "data=" + encoded(keyed(OPENED), url_safe=True),
    "json": urlencode({"data": json.dumps(keyed(OPENED))}),
    "parameters": urlencode(flat(keyed(OPENED))),
    "key beside": urlencode({"writeKey": WRITE_KEY, "data": encoded(OPENED)}),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_segments_pixel_is_a_call_and_answered_with_a_picture(
    gateway: Gateway, name: str
) -> None:
    answer = await gateway.call("GET", f"/v1/pixel/track?{QUERIES[name]}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/gif")
    assert answer.body.startswith(b"GIF89a")
    assert "no-store" in answer.headers["Cache-Control"]
    (row,) = gateway.accepted
    assert (row["source"], row["type"], row["lead_value"]) == ("shop", "email_opened", "u1")
    assert WRITE_KEY not in json.dumps(row)


@pytest.mark.parametrize(
    ("call", "fields", "kind"),
    [
        ("identify", {"traits": {"email": "a@example.com"}}, "identified"),
        ("group", {"groupId": "g"}, "group_joined"),
        ("alias", {"previousId": "a"}, "aliased"),
        ("page", {"name": "Home"}, "page_viewed"),
        ("screen", {"name": "Start"}, "screen_viewed"),
    ],
)
async def test_the_other_pixels(
    gateway: Gateway, call: str, fields: dict[str, Any], kind: str
) -> None:
    query = urlencode({"data": encoded(keyed({"userId": "u1", **fields}))})
    assert (await gateway.call("GET", f"/v1/pixel/{call}?{query}")).status == 200
    assert [row["type"] for row in gateway.accepted] == [kind]


@pytest.mark.parametrize(("call", "kind"), [("page", "page_viewed"), ("track", "mail_opened")])
async def test_rudderstacks_pixel(gateway: Gateway, call: str, kind: str) -> None:
    query = {
        "writeKey": WRITE_KEY,
        "anonymousId": '"anon-1"',
        "event": "mail opened",
        "name": "Home",
        "context.page.url": "https://shop.example/a?b=c&d",
        "context.library.name": "pixel",
        "properties.plan": "gold",
    }
    answer = await gateway.call("GET", f"/pixel/v1/{call}?{urlencode(query)}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/gif")
    (row,) = gateway.accepted
    assert (row["type"], row["lead_value"]) == (kind, "anon-1")
    assert row["url"] == "https://shop.example/a?b=c&d"
    assert json.loads(row["properties"])["plan"] == "gold"


@pytest.mark.parametrize(
    "path", ["/v1/pixel/track", "/pixel/v1/track", "/pixel/v1/page", "/v1/pixel/track?data=!!"]
)
async def test_a_pixel_without_a_key_is_401(gateway: Gateway, path: str) -> None:
    assert (await gateway.call("GET", path)).status == 401
    assert gateway.publisher.records == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("data=eyJhIjo", "unreadable"),
        ("event=", "invalid"),
        ("event=A", "no_identifier"),
        ("&".join("a=b" for _ in range(2_000)), "unreadable"),
        (".".join("a" * 500) + "=1&event=A", "no_identifier"),
    ],
)
async def test_a_wrong_pixel_is_refused_and_what_is_kept_shows_no_key(
    gateway: Gateway, query: str, reason: str
) -> None:
    answer = await gateway.call("GET", f"/pixel/v1/track?writeKey={WRITE_KEY}&{query}")
    assert answer.status in (400, 401)
    if answer.status == 400:
        (row,) = gateway.rejected
        assert row["reason"] == reason
        assert WRITE_KEY not in row["payload"].decode() + row["request"]


async def test_imports_and_merges(gateway: Gateway) -> None:
    batch = [{"type": "track", "event": "Old", "userId": "u", "timestamp": "2019-03-01T00:00:00Z"}]
    answer = await gateway.post("/v1/import", {"batch": batch}, headers=BASIC)
    assert (answer.status, answer.json) == (200, {"success": True})
    merged = [{"type": "email", "value": "a@example.com"}, {"type": "user_id", "value": "u"}]
    answer = await gateway.post("/v1/merge", {"mergeProperties": merged}, headers=BASIC)
    assert (answer.status, answer.json) == (200, {"success": True})
    old, merge = gateway.accepted
    assert old["occurred_at"] == "2019-03-01T00:00:00.000Z"
    assert merge["identifiers"] == {"customer_id": ["u"], "email": ["a@example.com"]}


async def test_a_slash_at_the_end_of_a_path_means_the_same(gateway: Gateway) -> None:
    call = {"event": "X", "userId": "u"}
    for path in ("track", "t", "identify", "merge", "batch", "import"):
        answer = await gateway.post(
            f"/v1/{path}/",
            {"batch": [{"type": "track", **call}], "mergeProperties": MERGED, **call},
            headers=BASIC,
        )
        assert (answer.status, answer.json) == (200, {"success": True}), path
    answer = await gateway.post("/v1/events/", store_visit("e"), headers=BEARER)
    assert answer.status == 202
    assert (await gateway.call("GET", f"/v1/pixel/track/?{QUERIES['base64']}")).status == 200
    body = line_body("x")
    answer = await gateway.post("/hooks/line/", body, headers=line_signed(body))
    assert (answer.status, answer.body) == (200, b"")
    assert (await gateway.call("GET", f"/v1/projects/{WRITE_KEY}/settings/")).status == 200
    assert (await gateway.call("GET", "/healthz/")).status == 404
    answer = await gateway.call("OPTIONS", "/v1/track/", headers={"Origin": "https://a.example"})
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


MERGED = [{"type": "email", "value": "a@example.com"}]


async def test_a_signature_over_the_address_is_over_the_one_that_was_called(
    gateway: Gateway,
) -> None:
    body, called = urlencode(SMS).encode(), f"{PUBLIC_URL}/hooks/support"
    for signed, status in ((f"{called}/", 200), (called, 401)):
        answer = await gateway.post("/hooks/support/", body, **twilio(signed, SMS))
        assert answer.status == status

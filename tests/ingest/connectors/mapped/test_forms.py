"""Bodies that are forms: their nesting, JSON in a field, signatures, and what is kept of them."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import Context
from ingest.connectors.mapped.body import nested
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.testing.values import RECEIVED_MS, URL, posted
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint
from tests.ingest.connectors.mapped.mappings import MINIMAL, make
from tests.support.gateway import PUBLIC_URL, serving, source

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
PERSON = {"type": "thing_happened", "identifiers": {"email": "data.email"}}
IN_FIELD = {**MINIMAL, "body": {"form": "events"}, "event_id": "id"}
EVENTS: list[dict[str, Any]] = [
    {"id": "1", "email": "hanako@example.com", "note": "a&b=c+d%20é"},
    {"id": "2", "email": 5.5, "note": "a&b=c+d%20é"},
    {"id": "3", "email": "taro@example.com"},
]


def parse(rules: dict[str, Any], body: bytes, headers: dict[str, str] = FORM) -> list[Any]:
    return list(make(rules).parse(posted(body, headers), Context("s", RECEIVED_MS)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a=1&a=2", {"a": ["1", "2"]}),
        ("a[]=1", {"a": ["1"]}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[b][c]=1&a[b][d]=2&a[e]=3", {"a": {"b": {"c": "1", "d": "2"}, "e": "3"}}),
        ("a[0][b]=1&a[1][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("a[7]=1", {"a": {"7": "1"}}),
        # What contradicts what was before keeps its whole name.
        ("a=1&a[b]=2", {"a": "1", "a[b]": "2"}),
        ("a[b]=2&a=1", {"a": [{"b": "2"}, "1"]}),
        ("a[b=1&a]b[=2&[a]=3&a[b]c=4", {"a[b": "1", "a]b[": "2", "[a]": "3", "a[b]c": "4"}),
        ("a" + "[b]" * 40 + "=1", {"a" + "[b]" * 40: "1"}),
    ],
)
def test_names_nest_as_php_writes_them(text: str, expected: dict[str, Any]):
    found = nested(tuple((n, v) for n, _, v in (part.partition("=") for part in text.split("&"))))
    assert found == expected


@given(st.lists(st.tuples(st.text("ab[]0", min_size=1, max_size=9), st.text(max_size=3))))
def test_no_value_of_a_form_is_lost(form: list[tuple[str, str]]):
    def texts(value: Any) -> list[str]:
        if isinstance(value, str):
            return [value]
        parts = value.values() if isinstance(value, dict) else value
        return [text for part in parts for text in texts(part)]

    assert sorted(texts(nested(form))) == sorted(value for _, value in form)


@pytest.mark.parametrize("rules", [PERSON, {**PERSON, "body": "form"}])
def test_a_form_is_an_event(rules: dict[str, Any]):
    (found,) = parse(rules, urlencode({"data[email]": "花子@example.com", "data[x]": "1"}).encode())
    assert isinstance(found, Touchpoint)
    assert found.identifiers[0].value == "花子@example.com"
    assert found.properties == {"data": {"x": "1"}}


def test_the_option_tells_a_form_and_json_whatever_the_content_type_says():
    plain = {"content-type": "text/plain"}
    assert isinstance(
        parse({**MINIMAL, "body": "form"}, b"email=a@b.example", plain)[0], Touchpoint
    )
    found = parse({**MINIMAL, "body": "json"}, b'{"email": "a@b.example"}', FORM)
    assert isinstance(found[0], Touchpoint)


def test_json_that_calls_itself_a_form_is_json():
    assert isinstance(parse(MINIMAL, b' {"email": "a@b.example"}')[0], Touchpoint)


@pytest.mark.parametrize(
    ("rules", "body", "detail"),
    [
        (PERSON, b"data[email]=%ff@b.example", "the body: is not a form in UTF-8"),
        (PERSON, b"", "the body: is not a form with fields"),
        (PERSON, b"&".join([b"a=1"] * 1001), "the body: is no form of at most 1000 fields"),
        (IN_FIELD, b"other=1", "the body: is no form with events"),
        (IN_FIELD, b"events=%5B1", "events: is not JSON in UTF-8"),
        (IN_FIELD, b"events=5", "the body: must be a list of events, or one event as an object"),
    ],
)
def test_an_unreadable_form_is_one_rejection(rules: dict[str, Any], body: bytes, detail: str):
    (found,) = parse(rules, body)
    assert found == Rejection("unreadable", detail, body)


def test_of_json_in_a_field_a_refused_event_is_kept_alone_and_read_again():
    body = urlencode({"events": json.dumps(EVENTS)}).encode()
    connector, request = make(IN_FIELD), posted(body, FORM)
    first, refused, third = connector.parse(request, Context("s", RECEIVED_MS))
    assert [one.event_id for one in (first, refused, third)] == ["1", "2", "3"]
    assert json.loads(refused.payload) == EVENTS[1]
    origin = Origins("s", connector, request).of(refused)
    again = ReplayContext.of(origin.request).request(refused.payload)
    assert list(connector.parse(again, Context("s", RECEIVED_MS))) == [refused]
    mended = again._replace(body=again.body.replace(b"5.5", b'"hanako@example.com"'))
    (accepted,) = connector.parse(mended, Context("s", RECEIVED_MS))
    assert isinstance(accepted, Touchpoint)


# The signature: https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks


def mandrill_signature(url: str, fields: dict[str, str], key: str) -> str:
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(key.encode(), signed.encode(), "sha1")).decode()


SIGNATURE = {
    "scheme": "hmac",
    "header": "X-Sign",
    "algorithm": "sha1",
    "encoding": "base64",
    "signed": "{url}{form}",
    "secret": ["new", "key"],
}


def test_a_signature_over_the_address_and_the_fields_of_a_form():
    fields = {"z": "1", "a": "花 +&", "m": ""}
    connector = make(MINIMAL, SIGNATURE)
    url = f"{URL}/hooks/source"
    for key, address, changed, holds in (
        ("key", url, {}, True),
        ("new", url, {}, True),
        ("old", url, {}, False),
        ("key", f"{url}?a=1", {}, False),
        ("key", url, {"a": "花"}, False),
        ("key", url, {"b": "1"}, False),
    ):
        shown = mandrill_signature(address, fields, key)
        request = posted(urlencode({**fields, **changed}).encode(), {**FORM, "x-sign": shown})
        assert connector.verify(request, RECEIVED_MS) is holds, (key, address, changed)


@pytest.mark.parametrize("signed", ["{url}", "", "{body}{timestamp}", "{body}{other}"])
def test_what_is_signed_must_protect_the_events(signed: str):
    with pytest.raises(ValueError, match=r"signed must hold \{body\} or \{form\}"):
        make(MINIMAL, {**SIGNATURE, "signed": signed})


def test_signed_stands_beside_the_time_if_there_is_one():
    with pytest.raises(ValueError, match="signed belongs to the settings of timestamp"):
        make(MINIMAL, {**SIGNATURE, "timestamp": {"header": "X-Time"}})


async def test_mandrill_asks_whether_the_address_is_there_then_sends_forms() -> None:
    options = {"preset": "mandrill", "signature": {"secret": "key"}}
    given = [source("mails", "mapped", options)]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        for ask in (gateway.http.head, gateway.http.get):
            async with ask(f"{gateway.url}/hooks/mails") as answer:
                assert answer.status == 200
        event = {"event": "open", "_id": "1", "ts": RECEIVED_MS // 1000}
        for events, accepted in (([], 0), ([{**event, "msg": {"email": "a@b.example"}}], 1)):
            fields = {"mandrill_events": json.dumps(events)}
            shown = mandrill_signature(f"{PUBLIC_URL}/hooks/mails", fields, "key")
            async with gateway.http.post(
                f"{gateway.url}/hooks/mails", data=fields, headers={"X-Mandrill-Signature": shown}
            ) as answer:
                assert answer.status == 200
            assert len(gateway.accepted) == accepted
        async with gateway.http.post(f"{gateway.url}/hooks/mails", data=fields) as answer:
            assert answer.status == 401

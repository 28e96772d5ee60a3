"""Mailgun's forms: legacy webhooks, and incoming mails that a route posts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import pytest

from ingest.connector import Context, Request, original
from ingest.connectors.mailgun.connector import Mailgun, MailgunOptions
from ingest.connectors.mailgun.contract import MailgunContract, signature
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint
from tests.support.mail_doors import FORM, multipart

COMMON = {
    "recipient": "hanako@example.com",
    "domain": "mail.shop.example",
    "Message-Id": "<20261120040000.1.8C4F@mail.shop.example>",
    "X-Mailgun-Sid": "WyI3",
    "body-plain": "",
}
HEADERS = json.dumps(
    [
        ["Subject", "Autumn sale"],
        ["From", "Shop <news@shop.example>"],
        ["X-Mailgun-Variables", '{"customer": "C-42"}'],
    ]
)
CLIENT = {"country": "JP", "city": "Tokyo", "client-os": "iOS", "user-agent": "Mozilla/5.0"}
RECEIVED = {
    "recipient": "support@shop.example",
    "sender": "bounce-1@mail.example.com",
    "from": "Taro <taro@example.com>",
    "subject": "Boots?",
    "body-plain": "Are there boots?\n> Offers",
    "stripped-text": "Are there boots?",
    "message-headers": json.dumps(
        [
            ["From", "Taro <taro@example.com>"],
            ["To", "support@shop.example"],
            ["Date", "Fri, 20 Nov 2026 13:00:10 +0900"],
            ["Message-Id", "<CAF1@mail.example.com>"],
            ["Subject", "Boots?"],
        ]
    ),
}
PAYLOADS: dict[str, dict[str, str]] = {
    "delivered": {"event": "delivered", **COMMON, "message-headers": HEADERS},
    "opened": {"event": "opened", **COMMON, **CLIENT, "tag": "autumn", "customer": "C-42"},
    "clicked": {"event": "clicked", **COMMON, **CLIENT, "url": "https://shop.example/boots"},
    "bounced": {"event": "bounced", **COMMON, "code": "550", "error": "5.1.1 no such user"},
    "dropped": {
        "event": "dropped", **COMMON, "reason": "hardfail", "code": "605",
        "description": "Not delivering to previously bounced address",
    },
    "complained": {"event": "complained", **COMMON, "message-headers": HEADERS},
    "unsubscribed": {
        "event": "unsubscribed", **COMMON, **CLIENT, "mailing-list": "weekly@mail.shop.example",
    },
    "received": RECEIVED,
}  # fmt: skip


def form(fields: dict[str, Any], key: str = "k", **changes: str) -> Request:
    """Return the request with a form, which Mailgun's signature ends."""
    signed = {**signature(key), **changes}
    body = urlencode([*fields.items(), *signed.items()]).encode()
    return posted(body, {"content-type": FORM})


def connector(**options: Any) -> Mailgun:
    return Mailgun(MailgunOptions(**{"signing_key": "k", **options}))


def read(request: Request, **options: Any) -> Any:
    (result,) = connector(**options).parse(request, Context("mailgun", RECEIVED_MS))
    return result


class FormContract(MailgunContract):
    """The contract of Mailgun with forms in place of JSON."""

    payloads: ClassVar[dict[str, Any]] = PAYLOADS

    def encode(self, value: Any) -> bytes:
        text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in value.items()}
        return urlencode(text, errors="replace").encode()

    def with_extra(self, value: Any) -> Any:
        return {**value, "new": "1"}

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if not {"recipient", "event"} & fields.keys():
            return super().signed(body, secret, name)
        return self.posted(fields, secret)

    def posted(self, fields: dict[str, str], secret: str) -> Request:
        """Return the signed request with a form."""
        return form(fields, secret)

    def unsigned(self, request: Request) -> Iterator[Request]:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True)
        for missing in signature(""):
            for wrong in (None, "", "é", "5"):
                kept = [(name, value) for name, value in pairs if name != missing]
                kept += [] if wrong is None else [(missing, wrong)]
                yield request._replace(body=urlencode(kept).encode())
        yield request._replace(body=b"")
        yield request._replace(headers={})


class TestForms(FormContract):
    pass


class TestMultipartForms(FormContract):
    def posted(self, fields: dict[str, str], secret: str) -> Request:
        return multipart({**fields, **signature(secret)}, [("text/plain", "a list")])

    def unsigned(self, request: Request) -> Iterator[Request]:
        for name in signature(""):
            old = f'name="{name}"'.encode()
            yield request._replace(body=request.body.replace(old, b'name="x"'))
        yield request._replace(headers={})


# The signature


def test_a_variable_named_as_a_field_of_the_signature_stands_before_it():
    pairs = [("token", "mine"), ("timestamp", "1"), *PAYLOADS["opened"].items()]
    body = urlencode([*pairs, *signature("k").items()]).encode()
    request = posted(body, {"content-type": FORM})
    assert connector().verify(request, RECEIVED_MS)
    assert connector().token_use(request).token == signature("k")["token"].encode()


def test_any_other_form_is_another_use_of_the_token():
    first = connector().token_use(form(PAYLOADS["opened"]))
    assert connector().token_use(form(dict(reversed(PAYLOADS["opened"].items())))) == first
    for change in ({"recipient": "b@example.com"}, {"event": "unsubscribed"}, {"customer": "C-1"}):
        other = connector().token_use(form({**PAYLOADS["opened"], **change}))
        assert other.token == first.token
        assert other.event != first.event
    mail = connector().token_use(form(RECEIVED))
    assert connector().token_use(form({**RECEIVED, "stripped-text": "No."})).event != mail.event


def test_what_is_kept_of_a_form_is_without_its_signature():
    for fields in PAYLOADS.values():
        kept = original(read(form(fields)))
        assert signature("k")["token"].encode() not in kept
        assert b"signature" not in kept


# The map


def test_legacy_events_become_what_todays_do():
    results = {name: read(form(fields)) for name, fields in PAYLOADS.items()}
    assert {name: (touch.type, touch.direction) for name, touch in results.items()} == {
        "delivered": ("email_delivered", "outbound"),
        "opened": ("email_opened", "inbound"),
        "clicked": ("email_clicked", "inbound"),
        "bounced": ("email_bounced", "outbound"),
        "dropped": ("email_dropped", "outbound"),
        "complained": ("email_complained", "inbound"),
        "unsubscribed": ("email_unsubscribed", "inbound"),
        "received": ("email_received", "inbound"),
    }
    for name in ("complained", "unsubscribed"):
        assert results[name].consent == {"marketing": False}
    lists = {"weekly@mail.shop.example": "newsletter"}
    assert read(form(PAYLOADS["unsubscribed"]), lists=lists).consent == {"newsletter": False}
    assert results["clicked"].url == "https://shop.example/boots"
    assert results["opened"].campaign.name == "autumn"
    assert results["delivered"].subject == "Autumn sale"
    assert results["dropped"].outcome == "hardfail"
    assert results["delivered"].occurred_at.timestamp() == RECEIVED_MS // 1000
    assert results["bounced"].properties["code"] == "550"


def test_a_user_variable_is_a_field_or_in_a_header_of_the_mail():
    for name in ("opened", "delivered"):
        touch = read(form(PAYLOADS[name]), customer_id_variable="customer")
        assert [(i.kind, i.value) for i in touch.identifiers] == [
            ("customer_id", "C-42"),
            ("email", "hanako@example.com"),
        ]


def test_ids_tell_apart_what_differs_and_a_redelivery_has_the_same():
    first = read(form(PAYLOADS["clicked"]))
    again = form(PAYLOADS["clicked"], token="u")
    assert read(again).event_id == first.event_id
    for change in (
        {"url": "https://shop.example/hats"},
        {"recipient": "b@example.com"},
        {"Message-Id": "<2@mail.shop.example>"},
        {"event": "opened"},
    ):
        assert read(form({**PAYLOADS["clicked"], **change})).event_id != first.event_id
    later = form(PAYLOADS["clicked"], timestamp=str(RECEIVED_MS // 1000 - 1))
    assert read(later).event_id != first.event_id


def test_of_an_incoming_mail():
    touch = read(form(RECEIVED))
    assert [(i.kind, i.value) for i in touch.identifiers] == [("email", "taro@example.com")]
    assert touch.event_id == "CAF1@mail.example.com"
    assert touch.occurred_at.isoformat() == "2026-11-20T13:00:10+09:00"
    assert touch.subject == "Boots?"
    assert touch.properties["text"] == "Are there boots?"
    later = form(RECEIVED, timestamp=str(RECEIVED_MS // 1000 - 600))
    assert read(later).event_id == touch.event_id


def test_an_incoming_mail_without_its_headers_has_those_that_are_fields():
    bare = {name: value for name, value in RECEIVED.items() if name != "message-headers"}
    touch = read(form(bare))
    assert [i.value for i in touch.identifiers] == ["taro@example.com"]
    assert touch.subject == "Boots?"
    assert touch.occurred_at.timestamp() == RECEIVED_MS // 1000
    envelope = read(form({**bare, "from": ""}))
    assert [i.value for i in envelope.identifiers] == ["bounce-1@mail.example.com"]
    own = read(form({**bare, "from": "agent@shop.example"}))
    assert (own.reason, own.event_id) == ("no_identifier", own.event_id)
    other = read(form({**bare, "subject": "Hats?"}))
    assert other.event_id != touch.event_id


@pytest.mark.parametrize("headers", ["", "{}", "[", "[[1]]", '[["From"]]', "[" * 5000, '"x"'])
def test_headers_that_cannot_be_read_cost_no_mail(headers: str):
    touch = read(form({**RECEIVED, "message-headers": headers}))
    assert isinstance(touch, Touchpoint)
    assert [i.value for i in touch.identifiers] == ["taro@example.com"]


def test_a_form_of_something_else_is_refused_without_its_signature():
    refused = read(form({"hello": "you"}))
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith("event-data.event: ")
    assert b"signature" not in refused.payload


@pytest.mark.parametrize("fields", [PAYLOADS["opened"], PAYLOADS["unsubscribed"], RECEIVED])
def test_bytes_that_are_not_utf_8_cost_no_event(fields: dict[str, str]):
    body = form({**fields, "tag": "x", "city": "x"}).body
    strange = body.replace(b"=x", b"=%FF%FEx").replace(b"Boots", b"%FFoots") + b"&%FFname=%FF"
    touch = read(posted(strange, {"content-type": FORM}))
    assert isinstance(touch, Touchpoint)
    assert json.loads(original(touch))

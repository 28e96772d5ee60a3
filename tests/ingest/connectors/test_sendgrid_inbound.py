"""SendGrid's Inbound Parse: how it is protected, and incoming e-mails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from ingest.connector import Context, Request, original
from ingest.connectors.postmark.contract import basic
from ingest.connectors.sendgrid.connector import SendGrid, SendGridOptions
from ingest.connectors.sendgrid.contract import SendGridContract, public_key, signed
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from tests.support.mail_doors import multipart

PARSED = {
    "headers": "From: Taro <taro@example.com>\nTo: support@shop.example\n"
    "Message-ID: <1@mx.example>\nDate: Fri, 20 Nov 2026 13:00:10 +0900\n"
    "Subject: =?utf-8?B?5Zyo5bqr?=\n",
    "from": "Taro <taro@example.com>",
    "to": "support@shop.example",
    "subject": "在庫",
    "text": "はい",
    "envelope": json.dumps({"to": ["support@shop.example"], "from": "taro@example.com"}),
    "charsets": json.dumps({"text": "UTF-8", "from": "UTF-8"}),
    "SPF": "pass",
    "sender_ip": "192.0.2.7",
    "attachments": "0",
}
RAW = {
    "email": "From: Taro <taro@example.com>\r\nMessage-ID: <2@mx.example>\r\n\r\nHello.\r\n",
    "envelope": json.dumps({"to": ["support@shop.example"], "from": "taro@example.com"}),
}


class InboundContract(SendGridContract):
    """The contract of SendGrid with incoming mails in place of events."""

    payloads: ClassVar[dict[str, Any]] = {"parsed": PARSED, "raw": RAW}
    undone = ()

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, dict):
            return super().encode(value)
        text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in value.items()}
        return multipart({k: v.encode("utf-8", "replace").decode() for k, v in text.items()}).body

    def with_extra(self, value: Any) -> Any:
        return {**value, "new": "1"}

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return as_form(signed(body, secret)) if body.startswith(b"--xYz") else signed(body, secret)


def as_form(request: Request) -> Request:
    kind = {"content-type": "multipart/form-data; boundary=xYz"}
    return request._replace(headers={**request.headers, **kind})


class TestSigned(InboundContract):
    def unsigned(self, request: Request) -> Iterator[Request]:
        yield request._replace(headers={"content-type": request.headers["content-type"]})
        yield request._replace(headers={})


class TestByPassword(InboundContract):
    signs_body = signs_time = False

    def make(self, *secrets: str) -> SendGrid:
        return SendGrid(SendGridOptions.model_validate({"password": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        request = super().signed(body, "k", name)
        return request._replace(headers={**request.headers, "authorization": basic(secret)})

    def unsigned(self, request: Request) -> Iterator[Request]:
        yield request._replace(headers={"content-type": request.headers["content-type"]})

    def test_a_damaged_signature_is_refused_without_an_exception(self) -> None:
        request = self.request(PARSED)
        for shown in ("", "x", "é", "Basic", basic("other")):
            changed = request._replace(headers={**request.headers, "authorization": shown})
            assert not self.make(self.secrets[0]).verify(changed, RECEIVED_MS)


def read(fields: dict[str, str], **options: Any) -> Any:
    connector = SendGrid(SendGridOptions(**{"password": "p", **options}))
    (result,) = connector.parse(multipart(fields), Context("mail", RECEIVED_MS))
    return result


def test_a_password_opens_the_door_for_mails_and_never_for_events():
    connector = SendGrid(SendGridOptions(public_key=public_key("k"), password="p"))
    shown = {"authorization": basic("p")}
    mail = multipart(PARSED)
    assert connector.verify(mail._replace(headers={**mail.headers, **shown}), RECEIVED_MS)
    assert not connector.verify(mail, RECEIVED_MS)
    assert connector.verify(as_form(signed(mail.body)), RECEIVED_MS)
    event = signed(b"[]", "other")
    assert not connector.verify(event._replace(headers={**event.headers, **shown}), RECEIVED_MS)
    assert connector.verify(signed(b"[]"), RECEIVED_MS)


def test_a_source_without_key_and_password_is_refused_at_start():
    with pytest.raises(ValidationError, match="public_key is missing"):
        SendGridOptions()


def test_of_an_incoming_mail():
    touch = read(PARSED)
    assert (touch.type, touch.direction, touch.event_id) == (
        "email_received",
        "inbound",
        "1@mx.example",
    )
    assert [(i.kind, i.value) for i in touch.identifiers] == [("email", "taro@example.com")]
    assert (touch.subject, touch.properties["text"]) == ("在庫", "はい")
    assert touch.occurred_at.isoformat() == "2026-11-20T13:00:10+09:00"
    assert touch.properties["SPF"] == "pass"
    assert read(RAW).properties["text"] == "Hello."


@pytest.mark.parametrize("charset", ["iso-2022-jp", "shift_jis", "utf-8", "euc-jp"])
def test_the_text_comes_in_the_charset_that_the_form_names(charset: str):
    request = multipart({**PARSED, "text": "TEXT", "charsets": json.dumps({"text": charset})})
    body = request.body.replace(b"TEXT", "在庫はありますか".encode(charset))
    connector = SendGrid(SendGridOptions(password="p"))
    (touch,) = connector.parse(request._replace(body=body), Context("mail", RECEIVED_MS))
    assert not isinstance(touch, Rejection)
    assert touch.properties["text"] == "在庫はありますか"


@pytest.mark.parametrize("charsets", ["", "[]", "{", '{"text": 5}', '{"text": "no-such"}'])
def test_charsets_that_cannot_be_read_cost_no_mail(charsets: str):
    assert read({**PARSED, "charsets": charsets}).properties["text"] == "はい"


@pytest.mark.parametrize("envelope", ["", "[]", "{", '{"to": 5}', '{"to": "support@shop.example"}'])
def test_an_envelope_that_cannot_be_read_costs_no_mail(envelope: str):
    assert read({**PARSED, "envelope": envelope}).event_id == "1@mx.example"
    own = {**PARSED, "envelope": envelope, "headers": "From: a@shop.example\nTo: x@shop.example\n"}
    assert read(own).reason == "no_identifier"


def test_what_is_kept_of_a_mail_is_without_its_files():
    request = multipart(PARSED, [("application/pdf", "the-file")])
    connector = SendGrid(SendGridOptions(password="p"))
    (touch,) = connector.parse(request, Context("mail", RECEIVED_MS))
    assert not isinstance(touch, Rejection)
    assert b"the-file" not in original(touch)
    assert json.loads(original(touch))["event"] == "inbound_parse"


def test_a_form_of_something_else_is_nobodys():
    refused = read({"hello": "you"})
    assert (refused.reason, refused.detail) == ("no_identifier", "from: names no sender")

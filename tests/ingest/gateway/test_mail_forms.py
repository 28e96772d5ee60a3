"""E-mails that providers post as forms, over a socket: what is answered, and what is kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp

from ingest.connectors.mailgun.contract import signature
from ingest.testing.values import RECEIVED_MS
from tests.support.gateway import Answer, Gateway, serving, source

URL_ENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
MAIL = {"from": "Taro <taro@example.com>", "recipient": "a@shop.example", "subject": "Boots?"}


async def post_form(gateway: Gateway, path: str, fields: Mapping[str, str], **more: Any) -> Answer:
    """Post a form with a file, as aiohttp writes it."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("attachment-1", b"\x00\xff\r\n", filename="表.bin")
    return await gateway.call("POST", path, data=form, **more)


async def test_a_form_of_mailgun_uses_its_token_for_one_event() -> None:
    given = [source("mail", "mailgun", {"signing_key": "k"})]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        answer = await post_form(gateway, "/hooks/mail", {**MAIL, **signature("k")})
        assert (answer.status, answer.body) == (200, b"")
        again = urlencode({**MAIL, **signature("k")}).encode()
        assert (await gateway.post("/hooks/mail", again, headers=URL_ENCODED)).status == 200
        other = urlencode({**MAIL, "subject": "Hats?", **signature("k")}).encode()
        assert (await gateway.post("/hooks/mail", other, headers=URL_ENCODED)).status == 401
        foreign = urlencode({**MAIL, **signature("x", token="u")}).encode()
        assert (await gateway.post("/hooks/mail", foreign, headers=URL_ENCODED)).status == 401
        first, second = gateway.accepted
        assert first["event_id"] == second["event_id"]
        assert first["identifiers"] == {"email": ["taro@example.com"]}
        assert gateway.rejected == []


async def test_what_is_kept_of_a_refused_form_is_json_without_signature_and_files() -> None:
    given = [source("mail", "mailgun", {"signing_key": "k"})]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        own = {**MAIL, "from": "agent@shop.example"}
        answer = await post_form(gateway, "/hooks/mail", {**own, **signature("k")})
        assert answer.status in (200, 400)
        (row,) = gateway.rejected
        assert row["reason"] == "no_identifier"
        assert json.loads(row["payload"])["recipient"] == "a@shop.example"
        for secret in signature("k").values():
            assert secret not in row["payload"].decode() + row["request"] or secret.isdigit()


async def test_an_incoming_mail_of_sendgrid_shows_its_password() -> None:
    given = [source("mail", "sendgrid", {"password": "p"})]
    fields = {"headers": "From: taro@example.com\nMessage-ID: <1@mx.example>\n", "text": "Hi."}
    shown = base64.b64encode(b"touchline:p").decode()
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        assert (await post_form(gateway, "/hooks/mail", fields)).status == 401
        assert gateway.publisher.records == []
        headers = {"Authorization": f"Basic {shown}"}
        answer = await post_form(gateway, "/hooks/mail", fields, headers=headers)
        assert (answer.status, answer.body) == (200, b"")
        (row,) = gateway.accepted
        assert (row["event_id"], row["type"]) == ("1@mx.example", "email_received")

"""Providers' webhooks over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import urlencode

import msgspec
import pytest

from ingest.connector import (
    Context,
    Options,
    Reply,
    Request,
    Result,
    WebhookConnector,
    touchpoint,
)
from ingest.gateway.config import Source
from ingest.intake.accept import SourcePolicy
from schemas.rejection import Rejection
from tests.support.gateway import (
    PUBLIC_URL,
    Gateway,
    serving,
)
from tests.support.gateway_requests import SMS, line_body, line_signed, twilio


async def test_a_signed_webhook_is_taken_with_200_and_nothing_else(gateway: Gateway) -> None:
    body = line_body("こんにちは", "😀")
    answer = await gateway.post("/hooks/line", body, headers=line_signed(body))
    assert (answer.status, answer.body) == (200, b"")
    assert [row["lead_kind"] for row in gateway.accepted] == ["line", "line"]


@pytest.mark.parametrize(
    "headers",
    [{}, line_signed(b"other"), line_signed(line_body("x"), "wrong"), {"X-Line-Signature": "ü"}],
)
async def test_a_wrong_signature_stores_nothing(gateway: Gateway, headers: dict[str, str]) -> None:
    answer = await gateway.post("/hooks/line", line_body("x"), headers=headers)
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert gateway.publisher.records == []


async def test_the_bytes_that_were_signed_are_the_raw_ones(gateway: Gateway) -> None:
    body = line_body("x").replace(b":", b" :  ")
    answer = await gateway.post("/hooks/line", body, headers=line_signed(body))
    assert answer.status == 200


async def test_an_unknown_source_is_404(gateway: Gateway) -> None:
    answer = await gateway.post("/hooks/nobody", b"{}")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert (await gateway.call("GET", "/hooks/nobody")).status == 404


async def test_twilio_signs_the_public_address_and_hears_twiml(gateway: Gateway) -> None:
    path = "/hooks/support?lang=%E6%97%A5&x=1"
    answer = await gateway.post(path, urlencode(SMS).encode(), **twilio(PUBLIC_URL + path, SMS))
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/xml")
    assert b"<Response" in answer.body
    [row] = gateway.accepted
    assert (row["lead_kind"], row["lead_value"]) == ("phone", "+819012345678")


async def test_without_a_public_address_the_host_header_stands_in() -> None:
    from ingest.gateway.config import GatewayConfig  # noqa: PLC0415 - only here

    async with serving(GatewayConfig(port=0)) as gateway:
        url = gateway.url + "/hooks/support"
        answer = await gateway.post("/hooks/support", urlencode(SMS).encode(), **twilio(url, SMS))
        assert answer.status == 200


@pytest.mark.parametrize("body", [b"not json", b"", b"[" * 10_000, b'{"events": 1}'])
async def test_an_unreadable_body_that_is_signed_is_400_and_kept(
    gateway: Gateway, body: bytes
) -> None:
    answer = await gateway.post("/hooks/line", body, headers=line_signed(body))
    assert answer.status == 400
    [row] = gateway.rejected
    assert (row["payload"], row["source"]) == (body, "line")


async def test_a_provider_without_a_handshake_takes_post_only(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/hooks/line")
    assert answer.status == 405


class NoOptions(Options):
    """None."""


class Odd(WebhookConnector):
    """A connector as no built-in one is: a handshake, a reply of its own, a bug."""

    name: ClassVar[str] = "odd"
    doc: ClassVar[str] = "for tests"
    options: ClassVar[type[Options]] = NoOptions

    def verify(self, request: Request, received_ms: int) -> bool:
        return True

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        fields = {
            "event_id": "e",
            "channel": "chat",
            "type": "message_received",
            "identifiers": [{"kind": "email", "value": "a@example.com"}],
        }
        if request.body.startswith(b"["):
            msgspec.json.decode(request.body)
        if b"nobody" in request.body:
            yield Rejection("no_identifier", "nobody", request.body)
            return
        yield touchpoint(fields, b"")
        if b"bug" in request.body:
            raise KeyError("a secret value")

    def reply(self, request: Request) -> Reply:
        return Reply(201, b"<ok/>", "text/xml")

    def handshake(self, request: Request) -> Reply | None:
        good = request.query == "challenge=42"
        return Reply(200, b"42") if good else Reply(403)


class TestAnyConnector:
    @pytest.fixture
    def odd(self) -> list[Source]:
        return [Source(Odd(), SourcePolicy("odd"))]

    async def test_handshakes(self, odd: list[Source]) -> None:
        async with serving(given=odd) as gateway:
            good = await gateway.call("GET", "/hooks/odd?challenge=42")
            assert (good.status, good.body) == (200, b"42")
            assert (await gateway.call("GET", "/hooks/odd?challenge=41")).status == 403

    async def test_the_reply_is_the_connectors_own(self, odd: list[Source]) -> None:
        async with serving(given=odd) as gateway:
            answer = await gateway.post("/hooks/odd", b"x")
            assert (answer.status, answer.body) == (201, b"<ok/>")
            assert answer.headers["Content-Type"].startswith("text/xml")

    async def test_a_touch_of_nobody_is_kept_and_no_fault_of_the_provider(
        self, odd: list[Source]
    ) -> None:
        async with serving(given=odd) as gateway:
            assert (await gateway.post("/hooks/odd", b"nobody")).status == 201
            assert gateway.rejected[0]["reason"] == "no_identifier"

    async def test_a_body_that_its_own_decoder_cannot_read_is_no_bug_of_a_connector(
        self, odd: list[Source]
    ) -> None:
        async with serving(given=odd) as gateway:
            body = b"[" * 100_000 + b"]" * 100_000
            assert (await gateway.post("/hooks/odd", body)).status == 400
            assert [(r["reason"], r["payload"]) for r in gateway.rejected] == [("unreadable", body)]
            assert (await gateway.post("/hooks/odd", b"[" * 501 + b"]" * 501)).status == 201

    async def test_a_bug_in_a_connector_loses_nothing(
        self, odd: list[Source], capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with serving(given=odd) as gateway:
            answer = await gateway.post("/hooks/odd", b"bug")
            assert b"secret" not in answer.body
            assert [row["event_id"] for row in gateway.accepted] == ["e"]
            [row] = gateway.rejected
            assert (row["reason"], row["payload"]) == ("processing_failed", b"bug")
            assert "KeyError" in row["detail"]
            assert "secret" not in row["detail"]
            said = capsys.readouterr()
            assert "connector_failed" in said.out + said.err
            assert "a secret value" not in said.out + said.err
            assert (await gateway.post("/hooks/odd", b"x")).status == 201

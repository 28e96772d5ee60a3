"""Acme Chat: the promises of every connector, and its own events."""

from __future__ import annotations

import json
from typing import Any

from ingest.connector import Context
from ingest.testing.values import RECEIVED_MS, posted

from touchline_acme_chat.connector import (
    AcmeChatOptions,
    AcmeChatWebhook,
)
from touchline_acme_chat.contract import (
    AcmeChatContract,
)


class TestAcmeChat(AcmeChatContract):
    """All promises of the suite."""


def parse(body: Any) -> list[Any]:
    """What a body gives."""
    options = AcmeChatOptions.model_validate({"signing_secret": "s"})
    request, context = posted(json.dumps(body).encode()), Context("source", RECEIVED_MS)
    return list(AcmeChatWebhook(options).parse(request, context))


def test_a_message() -> None:
    received, sent = parse(AcmeChatContract.payloads["messages"])
    assert (received.type, received.direction) == ("message_received", "inbound")
    assert (sent.type, sent.direction) == ("message_sent", "outbound")
    assert received.event_id == "evt-1"
    assert received.subject == "在庫はありますか"
    assert {(i.kind, i.value) for i in received.identifiers} == {
        ("acme_chat", "u-17"),
        ("email", "Hanako@example.com"),
    }


def test_an_unknown_event_is_kept() -> None:
    (rated,) = parse(AcmeChatContract.payloads["unknown_event"])
    assert rated.type == "acme_chat_conversation_rated"
    assert rated.properties == {"stars": 5}


def test_an_event_without_customer_is_refused() -> None:
    (refused,) = parse({"events": [{"id": "1", "event": "message.sent"}]})
    assert (refused.reason, refused.detail) == ("no_identifier", "customer: names nobody")

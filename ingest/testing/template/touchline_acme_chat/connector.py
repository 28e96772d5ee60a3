"""Acme Chat's webhook: what customers wrote and were answered.

Say here where the provider documents its events and its signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.connector import Context, Options, Request, Result, WebhookConnector, secrets
from ingest.kit.fields import (
    Fields,
    Payload,
    finish,
    identifiers,
    listed_events,
    snake_case,
    subject,
)
from ingest.kit.signing import HEX, RequiredSecrets, is_hmac_of

#: The header with the signature; names of headers come in lower case.
SIGNATURE = "x-acme-chat-signature"
#: The provider's event -> our type and direction.
#: Others are kept as acme_chat_<event>.
EVENTS = {
    "message.received": ("message_received", "inbound"),
    "message.sent": ("message_sent", "outbound"),
}
#: Fields that have a place of their own in a touchpoint; all others become properties.
MAPPED = frozenset({"id", "event", "created_at", "customer", "text"})
#: Our field -> the provider's, for the details of refusals.
NAMES = {"event_id": "id", "type": "event"}


class AcmeChatOptions(Options):
    """`signing_secret`: of the webhook; a list while it is changed."""

    signing_secret: RequiredSecrets


class AcmeChatWebhook(WebhookConnector):
    """Signed with HMAC-SHA256 over the raw body."""

    name = "acme_chat"
    doc = "Chat: Acme Chat's signed webhook"
    options = AcmeChatOptions

    def __init__(self, options: AcmeChatOptions) -> None:
        self._secrets = secrets(options.signing_secret)

    def verify(self, request: Request, received_ms: int) -> bool:
        """Whether one of our secrets signed these very bytes."""
        return is_hmac_of(request.body, request.headers.get(SIGNATURE, ""), self._secrets, HEX)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """A touchpoint for each event of the body, in its order, or why it is none."""
        yield from listed_events(request, "events", context, self._event)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """What makes a body of a single event, so that one that is refused can be replayed."""
        return b'{"events":[', b"]}"

    def _event(self, event: dict[str, Any], payload: Payload) -> Result:
        read = Fields(event)
        customer = read.inside("customer")
        name = read.text("event") or ""
        text = read.peek("text")
        name_shown = customer.peek("name")
        other = f"acme_chat_{snake_case(name)}"
        kind, direction = EVENTS.get(name, (other, "inbound"))
        fields = {
            "event_id": read.id("id"),
            "channel": "chat",
            "type": kind if name else None,
            "direction": direction,
            "occurred_at": read.moment("created_at", 1000),
            "identifiers": identifiers(
                ("acme_chat", customer.id("id")),
                ("email", customer.text("email")),
            ),
            "traits": {"name": name_shown} if name_shown else None,
            "subject": subject(text),
            "properties": {k: v for k, v in event.items() if k not in MAPPED},
        }
        return finish(fields, read.problems, payload, NAMES, "customer: names nobody")

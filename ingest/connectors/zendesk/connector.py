"""Zendesk's event webhooks: tickets, their comments, messaging, and the people who wrote.

Source: https://developer.zendesk.com/api-reference/webhooks/event-types/webhook-event-types/ with
the pages of ticket, messaging and user events; …/documentation/webhooks/verifying/
(signature: HMAC-SHA256 with the webhook's signing secret over timestamp and raw body, base64).
See docs/channels/zendesk.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from ingest.connector import Context, Options, Request, Result, WebhookConnector, secrets
from ingest.connectors.zendesk.people import CUSTOMER_ROLE, is_by_customer, people
from ingest.connectors.zendesk.ratings import rating
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    finish,
    identifiers,
    single_event,
    snake_case,
    subject,
)
from ingest.kit.markup import text_of_html
from ingest.kit.signing import BASE64, MaxAgeDays, RequiredSecrets, is_hmac_of, is_recent_time

SIGNATURE = "x-zendesk-webhook-signature"
TIMESTAMP = "x-zendesk-webhook-signature-timestamp"

#: Event -> type, for events whose content does not decide the type.
TYPES = {
    "ticket.created": "ticket_created",
    "ticket.merged": "ticket_merged",
    "user.created": "contact_created",
    "user.merged": "contact_merged",
    "user.deleted": "contact_deleted",
}
#: New status of a ticket -> type.
_STATUSES = {"solved": "ticket_solved", "closed": "ticket_closed"}
_PREFIX = re.compile(r"zen:event-type[:/](.+)", re.DOTALL)
#: Events that bring a comment, or a part of one. No customer sees what is private.
_COMMENTS = frozenset({"ticket.comment_added", "ticket.attachment_linked_to_comment"})
_MAPPED = frozenset({"email", "external_id"})
_NAMES = {"event_id": "id", "occurred_at": "time", "outcome": "event.current"}
_NOBODY = "detail: names no end user"
_NOTE = "event.comment: is private, so it is addressed to no end user"


class ZendeskOptions(Options):
    """`signing_secret`: the webhook's. `max_age_days`: the maximum age of a signature."""

    signing_secret: RequiredSecrets
    max_age_days: MaxAgeDays = 3


class Zendesk(WebhookConnector):
    """A webhook of Zendesk that is subscribed to its events."""

    name: ClassVar[str] = "zendesk"
    doc: ClassVar[str] = "Chat: tickets, comments and messaging of Zendesk"
    options: ClassVar[type[Options]] = ZendeskOptions

    def __init__(self, options: ZendeskOptions) -> None:
        self._secrets = secrets(options.signing_secret)
        self._max_age_days = options.max_age_days

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if a secret of ours signed timestamp and body, and not too long ago."""
        timestamp = request.headers.get(TIMESTAMP, "")
        if not is_recent_time(timestamp, received_ms, self._max_age_days):
            return False
        signed = timestamp.encode("utf-8", "replace") + request.body
        return is_hmac_of(signed, request.headers.get(SIGNATURE, ""), self._secrets, BASE64)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one event of the request."""
        yield single_event(request, _event)


def _event(body: dict[str, Any], payload: Payload) -> Result:
    read = Fields(body)
    found = _PREFIX.fullmatch(read.text("type") or "")
    name = found[1] if found else ""
    if not snake_case(name):
        read.wrong("type", "must be an event's, for instance zen:event-type:ticket.created")
    detail, event = read.inside("detail"), read.inside("event")
    kind, direction, text = _what(name, detail, event)
    rated = rating(name, detail, event)
    private = name in _COMMENTS and event.inside("comment").flag("is_public") is False
    fields = {
        "event_id": read.id("id") or derived_id(body),
        "channel": "chat",
        "type": kind,
        "direction": direction,
        "identifiers": [] if private else identifiers(*people(name, read, detail, event)),
        "occurred_at": read.text("time"),
        "traits": _traits(name, detail, event),
        "outcome": _status(event) if name == "ticket.status_changed" else None,
        "subject": subject(text),
        "properties": {
            **{field: v for field, v in read.object("detail").items() if field not in _MAPPED},
            "event": read.object("event"),
        },
        **({} if rated is None else {"type": "conversation_rated", **rated}),
    }
    return finish(fields, read.problems, payload, _NAMES, _NOTE if private else _NOBODY)


def _what(name: str, detail: Fields, event: Fields) -> tuple[str, str, str | None]:
    """Return type, direction and the text that was written."""
    other = TYPES.get(name) or f"zendesk_{snake_case(name)}"
    if name == "messaging_ticket.message_added":
        text = event.inside("message").text("body")
        return (*_message(event.inside("actor").text("type") == "end_user"), text)
    if name == "ticket.comment_added":
        comment = event.inside("comment")
        return (*_message(is_by_customer(comment)), _written(comment))
    if name == "ticket.created":
        # Submitted by an agent for the customer, after a call for instance, or by the customer.
        submitter = detail.id("submitter_id")
        by_agent = submitter is not None and submitter != detail.id("requester_id")
        return other, "outbound" if by_agent else "inbound", detail.text("subject")
    if name == "ticket.csat_requested":
        return other, "outbound", detail.text("subject")
    if name == "ticket.status_changed":
        return _STATUSES.get(_status(event) or "", other), "inbound", detail.text("subject")
    return other, "inbound", detail.text("subject") if name.startswith("ticket.") else None


def _message(by_customer: bool) -> tuple[str, str]:
    return ("message_received", "inbound") if by_customer else ("message_sent", "outbound")


def _written(comment: Fields) -> str | None:
    """Return the text of a comment, which may come in HTML alone."""
    markup = comment.peek("html_body")
    return comment.text("body") or (text_of_html(markup) if markup else None)


def _status(event: Fields) -> str | None:
    status = event.label("current")
    return status.lower() if status else None


def _traits(name: str, detail: Fields, event: Fields) -> dict[str, str]:
    if name != "user.name_changed" or detail.peek("role") != CUSTOMER_ROLE:
        return {}
    changed = event.peek("current")
    return {"name": changed} if changed else {}

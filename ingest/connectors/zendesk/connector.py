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
_CUSTOMER_ROLE = "end-user"
_MAPPED = frozenset({"email", "external_id"})
_NAMES = {"event_id": "id", "occurred_at": "time", "outcome": "event.current"}
_NOBODY = "detail: names no end user"


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
    fields = {
        "event_id": read.id("id") or derived_id(body),
        "channel": "chat",
        "type": kind,
        "direction": direction,
        "identifiers": identifiers(*_customer(name, read, detail, event)),
        "occurred_at": read.text("time"),
        "traits": _traits(name, detail, event),
        "outcome": _status(event) if name == "ticket.status_changed" else None,
        "subject": subject(text),
        "properties": {
            **{field: v for field, v in read.object("detail").items() if field not in _MAPPED},
            "event": read.object("event"),
        },
    }
    return finish(fields, read.problems, payload, _NAMES, _NOBODY)


def _what(name: str, detail: Fields, event: Fields) -> tuple[str, str, str | None]:
    """Return type, direction and the text that was written."""
    other = TYPES.get(name) or f"zendesk_{snake_case(name)}"
    if name == "messaging_ticket.message_added":
        text = event.inside("message").text("body")
        return (*_message(event.inside("actor").text("type") == "end_user"), text)
    if name == "ticket.comment_added":
        comment = event.inside("comment")
        if comment.flag("is_public") is False:
            # An internal note of the company.
            return other, "inbound", None
        return (*_message(_by_customer(comment)), comment.text("body"))
    if name == "ticket.created":
        # Submitted by an agent for the customer, after a call for instance, or by the customer.
        submitter = detail.id("submitter_id")
        by_agent = submitter is not None and submitter != detail.id("requester_id")
        return other, "outbound" if by_agent else "inbound", detail.text("subject")
    if name == "ticket.status_changed":
        return _STATUSES.get(_status(event) or "", other), "inbound", detail.text("subject")
    return other, "inbound", detail.text("subject") if name.startswith("ticket.") else None


def _message(by_customer: bool) -> tuple[str, str]:
    return ("message_received", "inbound") if by_customer else ("message_sent", "outbound")


def _by_customer(comment: Fields) -> bool:
    return comment.inside("author").flag("is_staff") is False


def _status(event: Fields) -> str | None:
    status = event.label("current")
    return status.lower() if status else None


def _customer(
    name: str, read: Fields, detail: Fields, event: Fields
) -> list[tuple[str, str | None]]:
    """Return the customer's identifiers: a ticket's requester, or the end user who wrote.

    The number of the ticket follows them, as a browser's anonymous id does, so that what an agent
    writes in messaging, where Zendesk names only the ticket, is attributed to the same person.
    """
    family = name.partition(".")[0]
    if family == "user":
        if detail.text("role") != _CUSTOMER_ROLE:
            return []
        return [
            ("customer_id", detail.id("external_id")),
            ("zendesk", detail.id("id")),
            ("email", detail.text("email")),
        ]
    if family not in ("ticket", "messaging_ticket"):
        return []
    actor, comment = event.inside("actor"), event.inside("comment")
    person = detail.id("requester_id")
    if actor.text("type") == "end_user":
        person = actor.id("id")
    elif "comment" in event and _by_customer(comment):
        person = comment.inside("author").id("id") or person
    ticket, account = detail.id("id"), read.id("account_id")
    followed = f"zendesk-{account}-ticket-{ticket}" if ticket and account else None
    if person is not None and person != (detail.id("requester_id") or person):
        # Somebody in copy: another person than the ticket's.
        followed = None
    return [("zendesk", person), ("anonymous_id", followed)]


def _traits(name: str, detail: Fields, event: Fields) -> dict[str, str]:
    if name != "user.name_changed" or detail.peek("role") != _CUSTOMER_ROLE:
        return {}
    changed = event.peek("current")
    return {"name": changed} if changed else {}

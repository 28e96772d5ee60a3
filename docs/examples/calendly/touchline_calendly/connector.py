"""Calendly's webhook: meetings that customers book, cancel and miss.

Events: https://developer.calendly.com/api-docs/calendly-api/webhooks/get-sample-webhook-data ,
rescheduling: …/docs/api-guides/see-how-webhook-payloads-change-when-invitees-reschedule-events ,
signature: …/api-docs/overview/webhooks/webhook-signatures .
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from ingest.connector import Context, Options, Request, Result, WebhookConnector, secrets
from ingest.connectors.reading import (
    Fields,
    Payload,
    decode,
    derived_id,
    finish,
    guarded,
    identifiers,
    snake_case,
)
from ingest.connectors.signing import HEX, RequiredSecrets, is_hmac_of, is_recent, named
from pydantic import Field
from schemas.rejection import Rejection

#: t=<seconds>,v1=<HMAC-SHA256 of "<t>.<body>" in hexadecimal>
SIGNATURE = "calendly-webhook-signature"
#: Calendly's event -> our type. Others are kept as calendly_<event>.
EVENTS = {
    "invitee.created": "meeting_booked",
    "invitee.canceled": "meeting_canceled",
    "invitee_no_show.created": "meeting_missed",
    "routing_form_submission.created": "form_submitted",
}
#: Have a place of their own, or let whoever has them change the meeting.
MAPPED = frozenset(
    {"email", "name", "text_reminder_number", "timezone", "cancel_url", "reschedule_url"}
)
NAMES = {"event_id": "payload.uri", "type": "event", "occurred_at": "created_at"}


class CalendlyOptions(Options):
    """`signing_key`: of the webhook subscription; a list while it is changed.

    `max_age_days`: how old a signature may be.
    """

    signing_key: RequiredSecrets
    max_age_days: Annotated[float, Field(gt=0)] = 3


class CalendlyWebhook(WebhookConnector):
    """A webhook subscription of Calendly, one event a request."""

    name = "calendly"
    doc = "Event: meetings booked, canceled and missed, by Calendly"
    options = CalendlyOptions

    def __init__(self, options: CalendlyOptions) -> None:
        self._secrets = secrets(options.signing_key)
        self._max_age_days = options.max_age_days

    def verify(self, request: Request, received_ms: int) -> bool:
        """Whether one of our keys signed the time and the body, and not too long ago."""
        header = request.headers.get(SIGNATURE, "")
        time = next(iter(named(header, "t")), "")
        if not is_recent(time, received_ms, self._max_age_days):
            return False
        signed = time.encode() + b"." + request.body
        return any([is_hmac_of(signed, one, self._secrets, HEX) for one in named(header, "v1")])

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """The one event of the request."""
        body = decode(request.body)
        if isinstance(body, Rejection):
            yield body
        elif isinstance(body, dict):
            yield guarded(_touch, body, lambda: request.body)
        else:
            yield Rejection("unreadable", "the body: must be a JSON object", request.body)


def _touch(body: dict[str, Any], payload: Payload) -> Result:
    read = Fields(body)
    invitee = read.inside("payload")
    name = read.text("event") or ""
    by_host = invitee.inside("cancellation").text("canceler_type") == "host"
    fields = {
        "event_id": _event_id(name, invitee) or derived_id(body),
        "channel": "event",
        "type": EVENTS.get(name, f"calendly_{snake_case(name)}") if name else None,
        "direction": "outbound" if by_host else "inbound",
        "occurred_at": read.text("created_at"),
        "identifiers": identifiers(
            ("email", invitee.text("email")), ("phone", invitee.text("text_reminder_number"))
        ),
        "traits": {key: value for key in ("name", "timezone") if (value := invitee.text(key))},
        "campaign": _campaign(invitee.inside("tracking")),
        "outcome": _outcome(invitee),
        "subject": invitee.inside("scheduled_event").text("name"),
        "properties": {key: value for key, value in invitee.values() if key not in MAPPED},
    }
    return finish(fields, read.problems, payload, NAMES, "payload.email: is missing")


def _event_id(name: str, invitee: Fields) -> str | None:
    """Calendly gives deliveries no id. An invitee is created once, canceled once, and each mark
    of a missed meeting has an address of its own.
    """
    address = invitee.inside("no_show").text("uri") or invitee.text("uri")
    return f"{name}:{address}" if address else None


def _outcome(invitee: Fields) -> str | None:
    """Of a meeting that is canceled: moved to another time, or by whom it was called off."""
    who = invitee.inside("cancellation").label("canceler_type")
    return "rescheduled" if who and invitee.flag("rescheduled") else who


def _campaign(tracking: Fields) -> dict[str, str | None]:
    parts = {
        part: tracking.label(f"utm_{part}") for part in ("source", "medium", "term", "content")
    }
    return {"name": tracking.label("utm_campaign"), **parts}

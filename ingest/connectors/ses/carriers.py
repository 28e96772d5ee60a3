"""What carries an event of SES to us: Amazon SNS, Amazon EventBridge, or one inside the other.

Source: https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-ses.html (`detail-type` of the
events) and …/userguide/eb-api-destinations.html (calls with an API key or a password, unsigned).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ingest.kit.fields import Fields, derived_id

_SOURCE = "aws.ses"
#: EventBridge's name of an event -> that of SES, for one that does not hold its own.
_DETAIL_TYPES = {
    "Email Sent": "Send",
    "Email Delivered": "Delivery",
    "Email Bounced": "Bounce",
    "Email Complaint Received": "Complaint",
    "Email Rejected": "Reject",
    "Email Rendering Failed": "Rendering Failure",
    "Email Opened": "Open",
    "Email Clicked": "Click",
    "Email Delivery Delayed": "DeliveryDelay",
    "Email Subscribed": "Subscription",
}


class Carried(NamedTuple):
    """An event, with id and time of what carried it; `derives`: without an id it has its own."""

    event: dict[str, Any]
    id: str | None = None
    time: str | None = None
    derives: bool = True

    def event_id(self) -> str | None:
        """Return the id, or one that is derived from the event."""
        if self.id is None and self.derives:
            return derived_id({"event": self.event, "time": self.time})
        return self.id


def is_of_eventbridge(value: dict[str, Any]) -> bool:
    """Return True if it is an event of SES in the form of EventBridge."""
    return value.get("source") == _SOURCE and isinstance(value.get("detail"), dict)


def from_eventbridge(value: dict[str, Any]) -> Carried:
    """Return the event in one of EventBridge, whose id all deliveries of it share."""
    detail: dict[str, Any] = value["detail"]
    name = _DETAIL_TYPES.get(str(value.get("detail-type")))
    named = "eventType" in detail or "notificationType" in detail
    event = detail if named or name is None else {**detail, "eventType": name}
    read = Fields(value)
    return Carried(event, read.peek("id"), read.peek("time"))

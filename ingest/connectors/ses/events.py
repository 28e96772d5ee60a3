"""Events of SES: their kinds, their receivers, and their contents for one receiver."""

from __future__ import annotations

from typing import Any, NamedTuple

from ingest.kit.fields import Fields, id_text, snake_case


class Kind(NamedTuple):
    """A kind of event: type and direction, the object that describes it, its receivers.

    `receivers` is a field of that object; '' if they are those of the mail. `single`: one receiver
    did it, and SES does not say which of several.
    """

    type: str
    direction: str
    part: str
    receivers: str = ""
    single: bool = False


KINDS = {
    "Send": Kind("email_processed", "outbound", "send"),
    "Delivery": Kind("email_delivered", "outbound", "delivery", "recipients"),
    "Bounce": Kind("email_bounced", "outbound", "bounce", "bouncedRecipients"),
    "Complaint": Kind("email_complained", "inbound", "complaint", "complainedRecipients"),
    "DeliveryDelay": Kind("email_deferred", "outbound", "deliveryDelay", "delayedRecipients"),
    "Reject": Kind("email_dropped", "outbound", "reject"),
    "Rendering Failure": Kind("email_dropped", "outbound", "failure"),
    "Open": Kind("email_opened", "inbound", "open", single=True),
    "Click": Kind("email_clicked", "inbound", "click", single=True),
    "Subscription": Kind("email_unsubscribed", "inbound", "subscription", single=True),
    "Received": Kind("email_received", "inbound", "receipt"),
}

#: Subtypes of bounces and complaints: SES did not send, the address is on a suppression list.
_SUPPRESSED = frozenset({"Suppressed", "OnAccountSuppressionList"})
_NOT_SPAM = "not-spam"
#: Fields of an event's description that are stored elsewhere, or that name other receivers.
_MAPPED = frozenset(
    {
        "timestamp",
        "recipients",
        "bouncedRecipients",
        "complainedRecipients",
        "delayedRecipients",
        "link",
    }
)
_MAIL = ("messageId", "source", "tags", "sendingAccountId")


class ReceiverEvent(NamedTuple):
    """An event as it concerns one receiver; `number` is the receiver's, of several."""

    name: str
    kind: Kind
    receiver: dict[str, Any]
    number: int | None

    @property
    def email(self) -> str | None:
        """The receiver's address."""
        found = self.receiver.get("emailAddress")
        return found if isinstance(found, str) else None

    @property
    def is_incoming(self) -> bool:
        """True for an e-mail that SES received for the company."""
        return self.name == "Received"

    @property
    def where(self) -> str:
        """The field that names the customer."""
        if self.is_incoming:
            return "mail.source"
        kind = self.kind
        return f"{kind.part}.{kind.receivers}" if kind.receivers else "mail.destination"


def kind_of(name: str) -> Kind:
    """Return the kind of an event with this name; one that is not known yet is `ses_<name>`."""
    return KINDS.get(name) or Kind(f"ses_{snake_case(name)}", "inbound", _part_name(name))


def _part_name(name: str) -> str:
    """Return the name of the object that describes an event that is not known yet."""
    words = "".join(name.split())
    return words[:1].lower() + words[1:]


def receivers_of(read: Fields, kind: Kind) -> list[dict[str, Any]]:
    """Return the receivers that an event tells of, as objects with their `emailAddress`."""
    if kind.receivers:
        found = read.inside(kind.part).items(kind.receivers)
    else:
        found = read.inside("mail").items("destination")
    if kind.type == "email_received":
        return [{}]
    return [one if isinstance(one, dict) else {"emailAddress": one} for one in found]


def type_and_outcome(name: str, kind: Kind, part: Fields) -> tuple[str, str | None]:
    """Return type and outcome, if an event says more than its name."""
    outcome = None
    match name:
        case "Bounce" if part.peek("bounceSubType") in _SUPPRESSED:
            return "email_dropped", "suppressed"
        case "Complaint" if part.peek("complaintSubType") in _SUPPRESSED:
            return "email_dropped", "suppressed"
        case "Complaint" if part.peek("complaintFeedbackType") == _NOT_SPAM:
            return "ses_not_spam", None
        case "Complaint":
            outcome = part.label("complaintFeedbackType")
        case "Bounce":
            outcome = part.label("bounceType")
        case "DeliveryDelay":
            outcome = part.label("delayType")
        case "Reject":
            outcome = part.label("reason")
        case "Rendering Failure":
            outcome = name
    return kind.type, snake_case(outcome or "") or None


def topic_statuses(preferences: Fields) -> dict[str, bool]:
    """Return topic -> True if the receiver wants it."""
    statuses = {}
    for one in preferences.items("topicSubscriptionStatus"):
        topic = one.get("topicName") if isinstance(one, dict) else None
        status = one.get("subscriptionStatus") if isinstance(one, dict) else None
        if isinstance(topic, str) and topic and status in ("OptIn", "OptOut"):
            statuses[topic] = status == "OptIn"
    return statuses


def tag_value(tag: object) -> str | None:
    """Return the value of a message tag, which is a list."""
    return id_text(tag[0]) if isinstance(tag, list) and tag else None


def sender(mail: Fields) -> str | None:
    """Return the writer of an incoming message: from the header, else from the envelope."""
    headers = mail.inside("commonHeaders").items("from")
    first = headers[0] if headers else None
    return first if isinstance(first, str) else mail.text("source")


def properties(mail: Fields, part: Fields, touch: ReceiverEvent) -> dict[str, Any]:
    """Return what has no field of its own, with some of what SES says of the mail."""
    own = {name: value for name, value in part.values() if name not in _MAPPED}
    receiver = {name: value for name, value in touch.receiver.items() if name != "emailAddress"}
    sent = {name: value for name, value in mail.values() if name in _MAIL}
    return {**own, **receiver, "mail": sent}

"""Events of SES: their kinds, their receivers, and their contents for one receiver."""

from __future__ import annotations

from typing import Any, NamedTuple

from ingest.kit.fields import Fields, id_text, snake_case
from ingest.kit.mail_message import address


class Kind(NamedTuple):
    """A kind of event: type and direction, the object that describes it, its receivers.

    `receivers` is a field of that object; '' if they are those of the mail. `single`: one receiver
    did it, and SES does not say which of several. `reported`: another server named the receivers.
    """

    type: str
    direction: str
    part: str
    receivers: str = ""
    single: bool = False
    reported: bool = False


#: An incoming mail, see `incoming`.
RECEIVED = "Received"
KINDS = {
    "Send": Kind("email_processed", "outbound", "send"),
    "Delivery": Kind("email_delivered", "outbound", "delivery", "recipients"),
    "Bounce": Kind("email_bounced", "outbound", "bounce", "bouncedRecipients", reported=True),
    "Complaint": Kind(
        "email_complained", "inbound", "complaint", "complainedRecipients", reported=True
    ),
    "DeliveryDelay": Kind(
        "email_deferred", "outbound", "deliveryDelay", "delayedRecipients", reported=True
    ),
    "Reject": Kind("email_dropped", "outbound", "reject"),
    "Rendering Failure": Kind("email_dropped", "outbound", "failure"),
    "RenderingFailure": Kind("email_dropped", "outbound", "failure"),
    "Open": Kind("email_opened", "inbound", "open", single=True),
    "Click": Kind("email_clicked", "inbound", "click", single=True),
    "Subscription": Kind("email_unsubscribed", "inbound", "subscription", single=True),
    RECEIVED: Kind("email_received", "inbound", "receipt"),
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
    def where(self) -> str:
        """The field that names the customer."""
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
    """Return the receivers that an event tells of, as objects with their `emailAddress`.

    A bounce names the address that refused the mail, which may be one that the customer's forwards
    to. The customer is the one to whom the mail was sent; of several, nobody knows whose forwarding
    it is, and the address stays.
    """
    sent_to = read.inside("mail").items("destination")
    if not kind.receivers:
        return [{"emailAddress": one} for one in sent_to]
    found = read.inside(kind.part).items(kind.receivers)
    receivers = [one if isinstance(one, dict) else {"emailAddress": one} for one in found]
    return [_as_sent(one, sent_to) for one in receivers] if kind.reported else receivers


def _as_sent(receiver: dict[str, Any], sent_to: list[Any]) -> dict[str, Any]:
    known = {address(one) for one in _lowered(sent_to)}
    email = receiver.get("emailAddress")
    named = {address(one) for one in _lowered([email])}
    if not named or named <= known or len(sent_to) != 1:
        return receiver
    return {**receiver, "emailAddress": sent_to[0]}


def _lowered(values: list[Any]) -> list[str]:
    return [one.lower() for one in values if isinstance(one, str)]


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
        case "Rendering Failure" | "RenderingFailure":
            outcome = "rendering_failure"
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


def properties(mail: Fields, part: Fields, touch: ReceiverEvent) -> dict[str, Any]:
    """Return what has no field of its own, with some of what SES says of the mail."""
    own = {name: value for name, value in part.values() if name not in _MAPPED}
    receiver = {name: value for name, value in touch.receiver.items() if name != "emailAddress"}
    sent = {name: value for name, value in mail.values() if name in _MAIL}
    return {**own, **receiver, "mail": sent}

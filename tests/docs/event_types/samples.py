"""A small event of each type, as the provider documents it: it names a customer where such do."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import stripe
from stripe._object_classes import OBJECT_CLASSES, get_object_class

from ingest.connector import Request
from ingest.connectors.ga4.contract import Ga4Contract
from ingest.connectors.intercom.contract import IntercomContract
from ingest.connectors.line.contract import LineContract
from ingest.connectors.mailgun.contract import MailgunContract
from ingest.connectors.postmark.contract import PostmarkContract
from ingest.connectors.segment.contract import SegmentContract
from ingest.connectors.sendgrid.contract import SendGridContract
from ingest.connectors.ses.contract import SesContract
from ingest.connectors.shopify.contract import ShopifyContract
from ingest.connectors.stripe.contract import StripeContract
from ingest.connectors.twilio.contract import TwilioContract
from ingest.connectors.x.contract import XContract
from ingest.connectors.zendesk.contract import ZendeskContract
from ingest.testing.suite import ConnectorSuite

PUBLISHED = Path(__file__).parent / "published"


class Provider(NamedTuple):
    """A provider: its title, its contract, and the event of a type as a payload, with the name
    that tells the contract how it is sent."""

    title: str
    contract: ConnectorSuite
    event: Callable[[str], Any]
    name: Callable[[str], str] = lambda kind: ""

    def request(self, kind: str) -> Request:
        """Return the request with an event of this type."""
        return self.contract.request(self.event(kind), self.name(kind))


def published(name: str) -> tuple[str, list[str]]:
    """Return the source of a provider's list, and the list."""
    first, *types = (PUBLISHED / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return first.removeprefix("# "), types


def stripe_types() -> list[str]:
    """Return the types of events of Stripe's own library."""
    folder = Path(stripe.__file__).parent / "params"
    text = (folder / "_webhook_endpoint_create_params.py").read_text(encoding="utf-8")
    found = re.findall(r'"([a-z_0-9]+(?:\.[a-z_0-9]+)+)"', text)
    return sorted(dict.fromkeys(found))


# Commerce and help desks ----------------------------------------------------------------------


def _shopify(topic: str) -> Any:
    payloads = ShopifyContract.payloads
    name = topic.replace("/", "__").replace(".", "_")
    if name in payloads:
        return payloads[name]
    group, _, _ = topic.partition("/")
    if topic == "orders/delete" or (topic.endswith("/delete") and group != "checkouts"):
        return {"id": 820000000000000001}
    if group in {"orders", "customers", "checkouts", "returns"}:
        return payloads[
            {
                "orders": "orders__create",
                "customers": "customers__create",
                "checkouts": "checkouts__create",
                "returns": "returns__request",
            }[group]
        ]
    return {**_SHOPIFY_THINGS.get(group, {}), "id": 690000000000000001}


_ORDER: dict[str, Any] = {"order_id": 820000000000000001, "created_at": "2026-11-20T13:00:00+09:00"}
#: What the documented samples of the other groups say about a customer or an order.
_SHOPIFY_THINGS: dict[str, dict[str, Any]] = {
    "fulfillments": {**_ORDER, "email": "hanako@example.com"},
    "fulfillment_events": _ORDER,
    "order_transactions": _ORDER,
    "tender_transactions": _ORDER,
    "disputes": _ORDER,
    "draft_orders": {"email": "hanako@example.com", "customer": {"id": 700000000000000001}},
    "customer.tags_added": {"customerId": "gid://shopify/Customer/700000000000000001", "tags": []},
    "customer.tags_removed": {"customerId": "gid://shopify/Customer/700000000000000001"},
    "customer.joined_segment": {"customerId": "gid://shopify/Customer/700000000000000001"},
    "customer.left_segment": {"customerId": "gid://shopify/Customer/700000000000000001"},
    "customer_payment_methods": {"customer_id": 700000000000000001},
    "company_contacts": {"customer_admin_graphql_api_id": "gid://shopify/Customer/700000000001"},
    "company_contact_roles": {
        "company_contact": {"customer_admin_graphql_api_id": "gid://shopify/Customer/700000000001"}
    },
    "payment_terms": _ORDER,
    "subscription_contracts": {"customer_id": 700000000000000001},
    "subscription_billing_attempts": {"order_id": 820000000000000001},
}


def _stripe(kind: str) -> Any:
    payloads = StripeContract.payloads
    name = kind.replace(".", "_")
    if name in payloads:
        return payloads[name]
    if kind.startswith("charge.dispute."):
        return {**payloads["charge_dispute_created"], "type": kind}
    base = copy.deepcopy(payloads["charge_succeeded"])
    thing = _stripe_object(kind)
    if thing is None:
        return {**base, "type": kind, "data": {"object": {"id": "x_1", "object": "thing"}}}
    names = getattr(thing, "__annotations__", {})
    values = {
        "id": "x_1", "object": thing.OBJECT_NAME, "amount": 1000, "amount_total": 1000,
        "amount_paid": 1000, "amount_refunded": 1000, "currency": "jpy", "customer": "cus_1",
        "created": base["created"], "status": "succeeded",
    }  # fmt: skip
    if thing.OBJECT_NAME == "customer":
        values = {"id": "cus_1", "object": "customer", "email": "hanako@example.com"}
    # In an event, an object stands for another one by its id: only these fields can name somebody.
    kept = {key: value for key, value in values.items() if key in names}
    return {**base, "type": kind, "data": {"object": kept}}


def _stripe_object(kind: str) -> Any:
    """Return the class of the object of an event, as Stripe's library names it."""
    parts = kind.split(".")[:-1]
    for start in range(len(parts)):
        name = ".".join(parts[start:])
        if name in OBJECT_CLASSES:
            return get_object_class("V1", name)
    return None


def _intercom(topic: str) -> Any:
    payloads = IntercomContract.payloads
    name = topic.replace(".", "_")
    if name in payloads:
        return payloads[name]
    base = next(
        (payloads[known] for start, known in _INTERCOM_ITEMS.items() if topic.startswith(start)),
        None,
    )
    if base is None or topic == "conversation.deleted":
        group = topic.partition(".")[0]
        item: Any = {"type": group, "id": "1", **_INTERCOM_THINGS.get(group, {})}
        return {**payloads["contact_user_created"], "topic": topic, "data": {"item": item}}
    return {**base, "topic": topic}


#: What the documented samples of the other groups say about a contact.
_INTERCOM_THINGS: dict[str, dict[str, Any]] = {
    "call": {"contact_id": "6961d897719c606240178da8", "answered_at": 1795147200},
    "content_stat": {"contact": {"type": "contact", "id": "6961d897719c606240178da8"}},
    "event": {"intercom_user_id": "6961d897719c606240178da8"},
}
_INTERCOM_ITEMS = {
    "conversation.admin": "conversation_admin_replied",
    "conversation.operator": "conversation_admin_replied",
    "conversation.rating": "conversation_rating_added",
    "conversation": "conversation_user_replied",
    "company.contact": "company_contact_attached",
    "contact.deleted": "contact_deleted",
    "contact.tag": "contact_user_tag_created",
    "contact.lead.tag": "contact_user_tag_created",
    "contact.user.tag": "contact_user_tag_created",
    "contact.lead": "contact_lead_created",
    "contact": "contact_user_created",
    "granular": "granular_unsubscribe",
    "ticket": "ticket_contact_replied",
    "visitor": "contact_lead_created",
}


def _zendesk(kind: str) -> Any:
    payloads = ZendeskContract.payloads
    name = {
        "messaging_ticket.message_added": "messaging_ticket_message_added_by_customer",
        "ticket.comment_added": "ticket_comment_added_by_customer",
        "ticket.status_changed": "ticket_status_changed_solved",
    }.get(kind, kind.replace(".", "_"))
    if name in payloads:
        return payloads[name]
    domain = kind.partition(".")[0]
    base = payloads["user_created" if domain == "user" else "ticket_created"]
    if domain not in {"user", "ticket"}:
        base = {**base, "detail": {"id": "1"}, "subject": f"zen:{domain}:1"}
    return {**base, "type": f"zen:event-type:{kind}"}


# E-mail ---------------------------------------------------------------------------------------


def _postmark(kind: str) -> Any:
    payloads = PostmarkContract.payloads
    record, _, bounce = kind.partition("/")
    if bounce:
        return {**payloads["bounce"], "Type": bounce}
    names = {"SpamComplaint": "spam_complaint", "SubscriptionChange": "unsubscribe"}
    return payloads[names.get(record, record.lower())]


def _mailgun(kind: str) -> Any:
    payloads = MailgunContract.payloads
    name = kind.replace("/", "_")
    if name in payloads:
        return payloads[name]
    event = {**payloads["accepted"]["event-data"], "event": kind}
    if kind.startswith("list_"):
        event = {key: event[key] for key in ("event", "id", "timestamp")}
    return {"event-data": event}


def _sendgrid(kind: str) -> Any:
    event, _, sort = kind.partition("/")
    every = [one for payload in SendGridContract.payloads.values() for one in payload]
    base = next((one for one in every if one["event"] == event), every[0])
    if event == "account_status_change":
        base = {key: base[key] for key in ("sg_event_id", "timestamp")}
    return [{**base, "event": event, **({"type": sort} if sort else {})}]


def _ses(kind: str) -> Any:
    payloads = SesContract.payloads
    event, _, sort = kind.partition("/")
    name = {
        "DeliveryDelay": "delivery_delay", "RenderingFailure": "rendering_failure",
        "Received": "notification_received",
    }.get(event, event.lower())  # fmt: skip
    payload = copy.deepcopy(payloads[name])
    if sort:
        payload["bounce"]["bounceType"] = sort
    return payload


# Phone, chat, web -----------------------------------------------------------------------------


def _line(kind: str) -> Any:
    payload = LineContract.payloads["events"]
    known = next((one for one in payload["events"] if one["type"] == kind), None)
    if known is None:
        first = payload["events"][0]
        kept = {key: value for key, value in first.items() if key not in ("message", "replyToken")}
        known = {**kept, "type": kind, **_LINE_PARTS.get(kind, {})}
    return {**payload, "events": [known]}


_BOT = {"source": None}
_GROUP = {"source": {"type": "group", "groupId": "Ca56f94637cccccccccccccccccccccccc"}}
_MEMBERS = {"members": [{"type": "user", "userId": "U4af4980629aaaaaaaaaaaaaaaaaaaaaa"}]}
_LINE_PARTS: dict[str, dict[str, Any]] = {
    "activated": {**_BOT, "chatControl": {"expireAt": 1795147300000}},
    "deactivated": _BOT,
    "botSuspended": _BOT,
    "botResumed": _BOT,
    "module": {**_BOT, "module": {"type": "attached"}},
    "delivery": {**_BOT, "delivery": {"data": "15034552939884E28681A7D668CEA94C"}},
    "join": _GROUP,
    "leave": _GROUP,
    "memberJoined": {**_GROUP, "joined": _MEMBERS},
    "memberLeft": {**_GROUP, "left": _MEMBERS},
    "beacon": {"beacon": {"hwid": "d41d8cd98f", "type": "enter"}},
    "membership": {"membership": {"type": "joined", "membershipId": 3189}},
    "messageEdited": {"message": {"type": "text", "id": "444573844083572737", "text": "new"}},
}


def _twilio(kind: str) -> Any:
    payloads = TwilioContract.payloads
    what, _, status = kind.partition("/")
    if what == "call":
        return {**payloads["call_completed"], "CallStatus": status}
    if what == "conversation":
        return {**payloads[_conversation(status)], "EventType": status}
    received, other = ("sms_received", "sms_delivered")
    if what == "whatsapp":
        received, other = ("whatsapp_received", "whatsapp_read")
    if status in {"receiving", "received"}:
        return {**payloads[received], "SmsStatus": status}
    return {**payloads[other], "SmsStatus": status, "MessageStatus": status}


def _conversation(event: str) -> str:
    """Return the name of the payload whose fields an event of Conversations has."""
    if event.startswith("onMessage"):
        return "conversation_message_of_customer"
    return {
        "onDeliveryUpdated": "conversation_delivery",
        "onConversationStateUpdated": "conversation_closed",
    }.get(
        event, "conversation_participant_added" if "Participant" in event else "conversation_added"
    )


_X_LISTS = {"dm.sent": "our_message", "dm.indicate_typing": "typing", "dm.read": "read"}


def _x(kind: str) -> Any:
    payloads = XContract.payloads
    every = [payload for name, payload in payloads.items() if name.startswith("activity_")]
    known = next((one for one in every if one["data"]["event_type"] == kind), None)
    if known is not None:
        return known
    data = {**payloads["activity_follow"]["data"], "event_type": kind}
    if kind in _X_LISTS:
        # What the Account Activity API has beside the account.
        listed = dict(payloads[_X_LISTS[kind]])
        del listed["for_user_id"]
        return {"data": {**data, "payload": listed}}
    domain = kind.partition(".")[0]
    base = {
        "follow": "activity_follow", "chat": "activity_chat",
        "post": "activity_mention", "mute": "activity_our_block", "block": "activity_our_block",
    }.get(domain)  # fmt: skip
    if base is not None:
        return {"data": {**payloads[base]["data"], "event_type": kind}}
    # What happens to the account itself.
    return {"data": {**data, "payload": {"before": "Shoes", "after": "Boots"}}}


def _segment(kind: str) -> Any:
    base = {"messageId": "m-1", "userId": "u-1", "timestamp": "2026-11-20T04:00:00Z", "type": kind}
    more: Mapping[str, Any] = {
        "track": {"event": "Item Viewed"},
        "group": {"groupId": "g-1"},
        "alias": {"previousId": "a-1"},
        "merge": {
            "mergeProperties": [
                {"type": "email", "value": "hanako@example.com"},
                {"type": "phone", "value": "+819012345678"},
            ]
        },
    }.get(kind, {})
    return {"batch": [{**base, **more}]}


def _ga4(kind: str) -> Any:
    parameters = {"currency": "JPY", "value": 1000, "transaction_id": "t-1"}
    return {
        "client_id": "555.111",
        "timestamp_micros": 1795147200000000,
        "events": [{"name": kind, "params": parameters}],
    }


PROVIDERS: dict[str, Provider] = {
    "segment": Provider("Segment, RudderStack", SegmentContract(), _segment),
    "ga4": Provider("GA4 Measurement Protocol", Ga4Contract(), _ga4),
    "postmark": Provider("Postmark", PostmarkContract(), _postmark),
    "mailgun": Provider("Mailgun", MailgunContract(), _mailgun),
    "sendgrid": Provider("SendGrid", SendGridContract(), _sendgrid),
    "ses": Provider("Amazon SES", SesContract(), _ses),
    "twilio": Provider("Twilio", TwilioContract(), _twilio),
    "line": Provider("LINE", LineContract(), _line),
    "x": Provider("X Activity API", XContract(), _x),
    "shopify": Provider(
        "Shopify", ShopifyContract(), _shopify, lambda topic: topic.replace("/", "__")
    ),
    "stripe": Provider("Stripe", StripeContract(), _stripe),
    "intercom": Provider("Intercom", IntercomContract(), _intercom),
    "zendesk": Provider("Zendesk", ZendeskContract(), _zendesk),
}


def types_of(name: str) -> tuple[str, list[str]]:
    """Return the source of a provider's list of types, and the list."""
    if name == "stripe":
        return "https://docs.stripe.com/api/events/types (as Stripe's library has them)", (
            stripe_types()
        )
    return published(name)


def events(name: str) -> Iterator[tuple[str, Request]]:
    """Yield each type of a provider with a request that holds one event of it."""
    provider = PROVIDERS[name]
    for kind in types_of(name)[1]:
        request = provider.request(kind)
        yield kind, request

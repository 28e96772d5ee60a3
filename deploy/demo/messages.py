"""Generated e-mail events, calls, text messages and LINE messages.

The fields are those of the providers' documentation: SendGrid's Event Webhook, Twilio's status
callbacks and incoming messages, LINE's Messaging API.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from typing import Any

from deploy.demo.delivery import Delivery, chunks
from deploy.demo.people import Person
from deploy.demo.visits import CAMPAIGNS, HISTORY_MS, SITE
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

#: The shop's own numbers; they never identify a customer.
COMPANY_PHONE = "+14155550199"
TWILIO_ACCOUNT = "AC" + b"demo".hex() * 4
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def emails(rng: random.Random, readers: Sequence[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield three campaigns to all readers; SendGrid posts events in batches of up to 80."""
    events: list[dict[str, Any]] = []
    for number, campaign in enumerate(CAMPAIGNS):
        sent_ms = now_ms - HISTORY_MS + (number * 14 + 2) * DAY_MS
        for person in readers:
            events += _email_events(rng, person, campaign, sent_ms + rng.randrange(2 * HOUR_MS))
    events.sort(key=lambda event: (event["timestamp"], event["sg_event_id"]))
    for batch in chunks(events, 80):
        yield Delivery(
            batch[-1]["timestamp"] * 1000 + 30 * SECOND_MS,
            "newsletter",
            batch,
            kept=tuple(event["sg_event_id"] for event in batch),
        )


def _email_events(
    rng: random.Random, person: Person, campaign: str, sent_ms: int
) -> Iterator[dict[str, Any]]:
    message = base64.urlsafe_b64encode(rng.randbytes(16)).decode().rstrip("=")

    def event(kind: str, after_ms: int, **fields: Any) -> dict[str, Any]:
        return {
            "email": person.email,
            "timestamp": (sent_ms + after_ms) // 1000,
            "event": kind,
            "sg_event_id": base64.urlsafe_b64encode(rng.randbytes(18)).decode(),
            "sg_message_id": f"{message}.recvd-demo-1.0",
            "category": [campaign],
            "generated": "true",
            **fields,
        }

    yield event("processed", 0)
    if rng.random() < 0.03:
        reason = "550 5.1.1 The mailbox does not exist"
        yield event("bounce", 3_000, type="bounce", status="5.1.1", reason=reason)
        return
    yield event("delivered", 4_000, response="250 2.0.0 OK")
    if rng.random() < 0.45:
        opened = rng.randrange(MINUTE_MS, 2 * DAY_MS)
        yield event("open", opened, useragent="Mozilla/5.0", ip="192.0.2.1")
        if rng.random() < 0.4:
            url = f"{SITE}/{campaign}?utm_campaign={campaign}"
            yield event("click", opened + 20 * SECOND_MS, url=url, ip="192.0.2.1")
        elif rng.random() < 0.03:
            yield event("unsubscribe", opened + 40 * SECOND_MS)


def calls(rng: random.Random, callers: Sequence[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield one voice call each, with the status callback at its end, inbound or outbound."""
    statuses = ["completed"] * 15 + ["no-answer"] * 3 + ["busy", "failed", "canceled"]
    for person in callers:
        inbound = rng.random() < 0.6
        status = rng.choice(statuses)
        sid = f"CA{rng.getrandbits(128):032x}"
        ended_ms = now_ms - HOUR_MS - rng.randrange(HISTORY_MS)
        fields = {
            "CallSid": sid,
            "AccountSid": TWILIO_ACCOUNT,
            "ApiVersion": "2010-04-01",
            "From": person.phone if inbound else COMPANY_PHONE,
            "To": COMPANY_PHONE if inbound else person.phone,
            "Direction": "inbound" if inbound else "outbound-api",
            "CallStatus": status,
            "CallDuration": str(rng.randrange(12, 900) if status == "completed" else 0),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "3",
            "Timestamp": formatdate(ended_ms / 1000),
        }
        yield _twilio(ended_ms + 2 * SECOND_MS, fields, f"{sid}:{status}")


def texts(rng: random.Random, people: Sequence[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield one text message each: half are written by the customer, half are sent to them."""
    for person in people:
        sid = f"SM{rng.getrandbits(128):032x}"
        at_ms = now_ms - HOUR_MS - rng.randrange(HISTORY_MS)
        fields = {"MessageSid": sid, "SmsSid": sid, "AccountSid": TWILIO_ACCOUNT}
        if rng.random() < 0.5:
            body = rng.choice(("Where is my order? 📦", "Thanks!", "Do you ship to Osaka? 大阪"))
            fields |= {"From": person.phone, "To": COMPANY_PHONE, "Body": body, "NumMedia": "0"}
            yield _twilio(at_ms, {**fields, "SmsStatus": "received"}, f"{sid}:received")
        else:
            status = "delivered" if rng.random() < 0.9 else "undelivered"
            fields |= {"From": COMPANY_PHONE, "To": person.phone, "SmsStatus": status}
            yield _twilio(at_ms, {**fields, "MessageStatus": status}, f"{sid}:{status}")


def _twilio(at_ms: int, fields: dict[str, str], event_id: str) -> Delivery:
    """Return a delivery of Twilio; the query of the URL that it calls marks it as generated."""
    return Delivery(at_ms, "support", fields, kept=(event_id,), query="generated=true")


def line_messages(rng: random.Random, friends: Sequence[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield LINE events: each friend follows, writes, presses a button; a few unfollow again."""
    for person in friends:
        at_ms = now_ms - HISTORY_MS + rng.randrange(HISTORY_MS - 4 * DAY_MS)
        events = [_line_event(rng, person, "follow", at_ms, follow={"isUnblocked": False})]
        for _ in range(rng.randint(1, 4)):
            at_ms += rng.randrange(MINUTE_MS, 12 * HOUR_MS)
            text = rng.choice(("こんにちは", "Is the jazz box in stock?", "ありがとう 🎷", "Hi!"))
            number = rng.randrange(10**17, 10**18)
            message = {"type": "text", "id": str(number), "text": text}
            events.append(_line_event(rng, person, "message", at_ms, message=message))
        if rng.random() < 0.4:
            data = {"data": "action=stock&generated=true"}
            events.append(_line_event(rng, person, "postback", at_ms + MINUTE_MS, postback=data))
        if rng.random() < 0.06:
            events.append(_line_event(rng, person, "unfollow", at_ms + HOUR_MS))
        for batch in chunks(events, rng.randint(1, 3)):
            yield line_webhook(batch)


def line_webhook(events: list[dict[str, Any]]) -> Delivery:
    """Return a webhook of LINE, which posts one or a few events at a time, each with its own id."""
    return Delivery(
        events[-1]["timestamp"] + SECOND_MS,
        "line",
        {"destination": "Udemo" + "0" * 28, "events": events},
        kept=tuple(event["webhookEventId"] for event in events),
    )


def _line_event(
    rng: random.Random, person: Person, kind: str, at_ms: int, **fields: Any
) -> dict[str, Any]:
    reply = {} if kind == "unfollow" else {"replyToken": f"{rng.getrandbits(128):032x}"}
    return {
        "type": kind,
        "mode": "active",
        "timestamp": at_ms,
        "source": {"type": "user", "userId": person.line},
        "webhookEventId": "01" + "".join(rng.choices(_CROCKFORD, k=24)),
        "deliveryContext": {"isRedelivery": False},
        **reply,
        **fields,
    }

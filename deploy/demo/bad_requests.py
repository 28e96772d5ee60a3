"""Faults of real traffic, generated on purpose: malformed events, forged requests.

Each reason for a refusal that can come from outside appears here; a batch with a bad event always
contains a good one, which must be stored.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from deploy.demo.delivery import Delivery
from deploy.demo.messages import COMPANY_PHONE, TWILIO_ACCOUNT, line_webhook
from deploy.demo.notes import note
from deploy.demo.people import Person, random_id
from deploy.demo.visits import Browser
from schemas.times import DAY_MS, HOUR_MS, rfc3339

#: One event over the gateway's limit of 256 KiB.
_HUGE = "x" * (300 * 1024)
#: The gateway accepts 10,000 events per batch.
_TOO_MANY = 10_001


def malformed(rng: random.Random, people: list[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield bad events for every reason, a few per person."""
    at_ms = now_ms - HOUR_MS
    for index, person in enumerate(people):
        yield from _bad_calls(rng, person, at_ms, huge=index % 4 == 0)
        yield from _bad_webhooks(rng, person, at_ms)
    good = [note(f"crm-{random_id(rng)}", at_ms, _email_of(people[0])) for _ in range(_TOO_MANY)]
    yield Delivery(at_ms, "crm", good, refused=("too_many",), status=413)


def _bad_calls(rng: random.Random, person: Person, at_ms: int, *, huge: bool) -> Iterator[Delivery]:
    """Yield calls of the Segment protocol as broken trackers send them."""
    browser = Browser(rng, random_id(rng))

    def beside_a_good_one(bad: dict[str, Any], reason: str) -> Delivery:
        good = browser.page(at_ms, "/")
        return Delivery(
            at_ms, "shop-web", [good, bad], kept=(good["messageId"],), refused=(reason,), status=200
        )

    nameless = browser.track(at_ms, "")
    del nameless["event"]
    yield beside_a_good_one(nameless, "invalid")
    yield beside_a_good_one(
        browser.page(at_ms, "/") | {"anonymousId": None, "userId": "undefined"}, "no_identifier"
    )
    yield beside_a_good_one(
        browser.page(at_ms, "/") | {"timestamp": rfc3339(at_ms + 3 * DAY_MS)}, "invalid_time"
    )
    yield Delivery(
        at_ms, "shop-web", b'{"batch": [{"type": "pa', refused=("unreadable",), status=400
    )
    if huge:
        yield beside_a_good_one(browser.track(at_ms, "Note Left", text=_HUGE), "too_large")


def _bad_webhooks(rng: random.Random, person: Person, at_ms: int) -> Iterator[Delivery]:
    """Yield webhooks that are signed correctly and still cannot be used."""
    withheld = {
        "CallSid": f"CA{rng.getrandbits(128):032x}",
        "AccountSid": TWILIO_ACCOUNT,
        "From": "+266696687",  # what Twilio sends for a withheld number
        "To": COMPANY_PHONE,
        "Direction": "inbound",
        "CallStatus": "completed",
        "CallDuration": "31",
    }
    yield Delivery(at_ms, "support", withheld, refused=("no_identifier",), query="generated=true")
    alarm = {"AccountSid": TWILIO_ACCOUNT, "Level": "ERROR"}
    yield Delivery(at_ms, "support", alarm, refused=("unsupported",))
    yield Delivery(at_ms, "line", b"\xff\xfe not JSON", refused=("unreadable",), status=400)
    click = {"email": person.email, "timestamp": "soon", "event": "click", "sg_event_id": "demo"}
    yield Delivery(at_ms, "newsletter", [click], refused=("invalid",), status=400)
    unknown = note(f"crm-{random_id(rng)}", at_ms, _email_of(person)) | {"channel": 7}
    known = note(f"crm-{random_id(rng)}", at_ms, _email_of(person))
    yield Delivery(
        at_ms, "crm", [unknown, known], kept=(known["event_id"],), refused=("invalid",), status=202
    )


def forged(rng: random.Random, people: list[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield well-formed requests that are signed with a wrong key."""
    at_ms = now_ms - HOUR_MS
    for person in people:
        page = Browser(rng, random_id(rng)).page(at_ms, "/")
        event = {"email": person.email, "timestamp": at_ms // 1000, "event": "open"}
        call = {"CallSid": f"CA{rng.getrandbits(128):032x}", "CallStatus": "completed"}
        hello = {
            "type": "follow",
            "timestamp": at_ms,
            "source": {"type": "user", "userId": person.line},
            "webhookEventId": f"forged-{person.number}",
        }
        contents: list[Delivery] = [
            Delivery(at_ms, "shop-web", [page]),
            Delivery(at_ms, "newsletter", [event | {"sg_event_id": f"forged-{person.number}"}]),
            Delivery(at_ms, "support", call | {"From": person.phone, "To": COMPANY_PHONE}),
            line_webhook([hello]),
            Delivery(at_ms, "crm", [note(f"crm-{random_id(rng)}", at_ms, _email_of(person))]),
        ]
        for delivery in contents:
            yield Delivery(
                at_ms,
                delivery.source,
                delivery.content,
                query=delivery.query,
                forged=True,
                status=401,
            )


def _email_of(person: Person) -> list[dict[str, str]]:
    return [{"kind": "email", "value": person.email}]

"""Generated notes of the shop's own CRM: native touchpoints and CloudEvents on `/v1/events`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from deploy.demo.delivery import Delivery, chunks
from deploy.demo.people import Person, random_id
from deploy.demo.visits import HISTORY_MS
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, parse_ms, rfc3339


def line_links(rng: random.Random, friends: Sequence[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield the linking of LINE accounts: the touches that tell to whom a LINE user id belongs."""
    touches = [
        _touch(
            rng,
            now_ms - HOUR_MS - rng.randrange(HISTORY_MS),
            channel="social",
            type="account_linked",
            identifiers=_ids(customer_id=person.customer_id, line=person.line),
        )
        for person in friends
        if person.customer_id
    ]
    yield from _posts(touches)


def sign_ups(rng: random.Random, readers: Sequence[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield paper forms from the shop: name, address, and consent to marketing mail."""
    touches = [
        _touch(
            rng,
            now_ms - HISTORY_MS + rng.randrange(2 * DAY_MS),
            channel="store",
            type="form_submitted",
            identifiers=_ids(customer_id=person.customer_id, email=person.email),
            traits={"name": person.name, "generated": True},
            consent={"marketing": rng.random() < 0.8},
        )
        for person in readers
    ]
    yield from _posts(touches)


def store_visits(rng: random.Random, people: Sequence[Person], now_ms: int) -> Iterator[Delivery]:
    """Yield visits to the shop, sent by the till as CloudEvents (structured, in batches)."""
    for batch in chunks(list(people), 20):
        at_ms = now_ms - HOUR_MS - rng.randrange(HISTORY_MS)
        events = [
            {
                "specversion": "1.0",
                "id": random_id(rng),
                "source": "/tills/1",
                "type": "com.example.store.visited",
                "time": rfc3339(at_ms),
                "datacontenttype": "application/json",
                "data": {
                    "channel": "store",
                    "type": "store_visited",
                    "identifiers": _ids(customer_id=person.customer_id, phone=person.phone),
                    "duration_s": rng.randrange(60, 3_000),
                    "properties": {"generated": True},
                },
            }
            for person in batch
        ]
        ids = tuple(f"{event['source']} {event['id']}" for event in events)
        yield Delivery(at_ms + MINUTE_MS, "crm", events, kept=ids, cloud_events=True)


def note(event_id: str, at_ms: int, identifiers: list[dict[str, str]]) -> dict[str, Any]:
    """Return the minimal touchpoint that `/v1/events` accepts, labelled as generated."""
    return {
        "event_id": event_id,
        "channel": "store",
        "type": "store_visited",
        "occurred_at": rfc3339(at_ms),
        "identifiers": identifiers,
        "properties": {"generated": True},
    }


def _touch(rng: random.Random, at_ms: int, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": f"crm-{random_id(rng)}",
        "occurred_at": rfc3339(at_ms),
        "properties": {"generated": True},
        **fields,
    }


def _ids(**identifiers: str | None) -> list[dict[str, str]]:
    return [{"kind": kind, "value": value} for kind, value in identifiers.items() if value]


def _posts(touches: list[dict[str, Any]]) -> Iterator[Delivery]:
    touches.sort(key=lambda touch: str(touch["occurred_at"]))
    for batch in chunks(touches, 25):
        at_ms = parse_ms(batch[-1]["occurred_at"]) + MINUTE_MS
        yield Delivery(at_ms, "crm", batch, kept=tuple(touch["event_id"] for touch in batch))

"""What all contenders process: skewed customers, 2 % redelivered, 500 to 700 bytes an event."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from schemas import touchpoint_row
from schemas.identifiers import identifier_id
from schemas.times import DAY_MS, HOUR_MS, rfc3339
from schemas.touchpoint_row import TouchpointRow

_KINDS = (
    ("web", "page_viewed"),
    ("web", "page_viewed"),
    ("web", "product_viewed"),
    ("email", "email_opened"),
    ("phone", "call_completed"),
    ("commerce", "order_completed"),
)


T = TypeVar("T")


class Event(NamedTuple):
    """A record of the topic `touchpoints`."""

    key: bytes
    value: bytes


class Expected(NamedTuple):
    """What a correct result says: distinct events and orders, revenue in cents."""

    events: int
    orders: int
    cents: int


def workload(
    count: int, customers: int, now_ms: int, seed: int = 1
) -> tuple[list[Event], Expected]:
    """`count` events and what they add up to."""
    rng = random.Random(seed)
    events: list[Event] = []
    orders = cents = distinct = 0
    for number in range(count):
        if events and rng.random() < 0.02:
            events.append(events[rng.randrange(max(0, len(events) - 5000), len(events))])
            continue
        row = _row(number, int(customers * rng.random() ** 2), now_ms, rng)
        distinct += 1
        if row.value_amount is not None:
            orders += 1
            cents += round(float(row.value_amount) * 100)
        events.append(Event(row.lead_id.encode(), touchpoint_row.encode(row)))
    return events, Expected(distinct, orders, cents)


def _row(number: int, customer: int, now_ms: int, rng: random.Random) -> TouchpointRow:
    channel, event_type = rng.choice(_KINDS)
    name = f"c{customer}"
    ago = rng.randrange(HOUR_MS) if rng.random() < 0.9 else rng.randrange(30 * DAY_MS)
    identifiers = {"customer_id": [name]}
    if channel == "email":
        identifiers["email"] = [f"{name}@example.com"]
    elif channel == "web":
        identifiers["anonymous_id"] = [f"browser-{name}"]
    order = event_type == "order_completed"
    return TouchpointRow(
        event_id=f"event-{number}",
        channel=channel,
        type=event_type,
        source="benchmark",
        occurred_at=rfc3339(now_ms - ago),
        received_at=rfc3339(now_ms),
        lead_kind="customer_id",
        lead_value=name,
        lead_id=identifier_id("customer_id", name),
        identifiers=identifiers,
        traits={"city": rng.choice(("Tokyo", "Osaka", "Kyoto"))} if rng.random() < 0.1 else {},
        value_amount=f"{rng.randrange(100, 20_000) / 100:.2f}" if order else None,
        value_currency="USD" if order else "",
        url="https://shop.example.com/products/1234",
        properties='{"library":"analytics","title":"A page of the shop"}',
    )


def batches(events: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The events in slices."""
    for start in range(0, len(events), size):
        yield events[start : start + size]

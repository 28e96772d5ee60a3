"""The job for comparison, for peers in Python: the update of a profile by one more event.

Malformed events are separated; counts per channel, first and last seen, orders, revenue, daily
buckets, score and five segments (benchmarks/segments/) are kept in one compact state. Written for
speed, with nothing of Touchline's, as a competent user of Faust or Quix Streams would write it.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

DAY_MS = 86_400_000
HALF_LIFE_DAYS = 30

_WEIGHTS = {"product_viewed": 2, "call_completed": 5, "order_completed": 10}

MalformedEvent = msgspec.DecodeError


class Event(msgspec.Struct, gc=False):
    """The fields that the job needs."""

    event_id: str
    channel: str
    type: str
    source: str
    occurred_at: datetime
    received_at: datetime
    lead_value: str
    lead_id: str
    value_amount: str | None = None
    value_currency: str = ""


class Day(msgspec.Struct, array_like=True, gc=False):
    """One day of a customer: the data for the score and the segments."""

    points: int = 0
    viewed: int = 0
    opened: int = 0
    orders: int = 0
    cents: int = 0


class Profile(msgspec.Struct, array_like=True):
    """The state of a customer. Times in ms, revenue in cents."""

    first_ms: int
    last_ms: int
    received_ms: int = 0
    touches: int = 0
    orders: int = 0
    channels: dict[str, int] = {}
    revenue: dict[str, int] = {}
    days: dict[int, Day] = {}
    segments: list[str] = []


class Change(NamedTuple):
    """The changes by one event: the state, the profile to publish, the changes of segments."""

    state: bytes
    row: bytes
    segments: list[bytes]


_decoder = msgspec.json.Decoder(Event)
_encode_json = msgspec.json.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Profile).decode
_pack = msgspec.msgpack.Encoder().encode


def read(value: bytes) -> Event:
    """Decode the event of a record. Raises MalformedEvent."""
    return _decoder.decode(value)


def change(stored: bytes | None, event: Event) -> Change:
    """Fold an event that is new into the state of its customer."""
    at_ms = int(event.occurred_at.timestamp() * 1000 + 0.5)
    profile = Profile(at_ms, at_ms) if stored is None else _unpack(stored)
    _fold(profile, event, at_ms)
    present = _segments(profile)
    before = profile.segments
    changes = []
    if present != before:
        profile.segments = present
        for name in sorted(set(present) ^ set(before)):
            verb = "entered" if name in present else "exited"
            one = {"segment": name, "profile_id": event.lead_id, "change": verb}
            changes.append(_encode_json(one))
    return Change(_pack(profile), _row(profile, event), changes)


def _fold(profile: Profile, event: Event, at_ms: int) -> None:
    profile.first_ms = min(profile.first_ms, at_ms)
    profile.last_ms = max(profile.last_ms, at_ms)
    profile.received_ms = max(profile.received_ms, int(event.received_at.timestamp() * 1000 + 0.5))
    profile.touches += 1
    channel, kind = event.channel, event.type
    profile.channels[channel] = profile.channels.get(channel, 0) + 1
    number = at_ms // DAY_MS
    day = profile.days.get(number)
    if day is None:
        day = profile.days[number] = Day()
    day.points += _WEIGHTS.get(kind, 1)
    if kind == "product_viewed":
        day.viewed += 1
    elif kind == "email_opened":
        day.opened += 1
    elif kind == "order_completed":
        day.orders += 1
        profile.orders += 1
        if event.value_amount is not None:
            cents = round(float(event.value_amount) * 100)
            currency = event.value_currency
            profile.revenue[currency] = profile.revenue.get(currency, 0) + cents
            if currency == "USD":
                day.cents += cents


def _segments(profile: Profile) -> list[str]:
    """Return the segments' names, sorted. A day counts until all of it is older than the window."""
    today = profile.received_ms
    week, month, year = ((today - days * DAY_MS) // DAY_MS for days in (7, 30, 365))
    viewed = orders_of_week = orders_of_month = opened = cents = 0
    for number, day in profile.days.items():
        if number >= week:
            viewed += day.viewed
            orders_of_week += day.orders
        if number >= month:
            orders_of_month += day.orders
            opened += day.opened
        if number >= year:
            cents += day.cents
    present = []
    if profile.last_ms > today - 30 * DAY_MS:
        present.append("active")
    if cents >= 50_000:
        present.append("big_spenders")
    if viewed >= 3 and not orders_of_week:
        present.append("hesitating_buyers")
    if orders_of_month and not orders_of_week:
        present.append("lapsed_buyers")
    if opened >= 2:
        present.append("newsletter_readers")
    return present


def _row(profile: Profile, event: Event) -> bytes:
    last = profile.last_ms // DAY_MS
    points = 0.0
    for number, day in profile.days.items():
        points += day.points * 0.5 ** ((last - number) / HALF_LIFE_DAYS)
    return _encode_json(
        {
            "profile_id": event.lead_id,
            "customer_id": event.lead_value,
            "first_seen_ms": profile.first_ms,
            "last_seen_ms": profile.last_ms,
            "touchpoints": profile.touches,
            "channels": profile.channels,
            "orders": profile.orders,
            "revenue_cents": profile.revenue,
            "engagement_points": round(points, 6),
            "segments": profile.segments,
        }
    )

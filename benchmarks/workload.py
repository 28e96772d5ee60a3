"""The workload of all contenders: records of the topic `touchpoints`, as the gateway writes them.

Customers come in one of four regimes; 2 % of the events are redelivered, one record in a thousand
cannot be read. Results are checked against `Touch`: each event once, whatever its bytes.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar, get_args

from schemas import touchpoint_row
from schemas.identifiers import identifier_id
from schemas.times import DAY_MS, HOUR_MS, rfc3339
from schemas.topics import partition_of
from schemas.touchpoint_row import SCHEMA_VERSION, TouchpointRow

T = TypeVar("T")

#: bursty: skewed customers, each in sessions. skewed: the same customers, every event by itself.
#: uniform: every customer as likely as any other. hot: bursty, and 30 % are of one customer.
Regime = Literal["bursty", "skewed", "uniform", "hot"]
REGIMES: tuple[Regime, ...] = get_args(Regime)

PARTITIONS = 4
#: Sessions in progress at the same time, and the mean number of touches in one.
SESSIONS = 1000
SESSION_TOUCHES = 8
REDELIVERED = 0.02
MALFORMED = 0.001
_HOT = 0.3
#: A redelivery comes at most this number of events later.
_REDELIVERED_WITHIN = 5000
_LATE = 0.1
#: Beyond the numbers of all other events.
_FIRST_OF_EACH = 10**9

_KINDS = (
    ("web", "page_viewed"),
    ("web", "page_viewed"),
    ("web", "product_viewed"),
    ("email", "email_opened"),
    ("phone", "call_completed"),
    ("commerce", "order_completed"),
)


class Event(NamedTuple):
    """A record of the topic `touchpoints`."""

    key: bytes
    value: bytes


class Touch(NamedTuple):
    """The content of an event; `cents` is 0 if nothing was bought."""

    profile_id: str
    channel: str
    type: str
    at_ms: int
    cents: int


class Workload(NamedTuple):
    """The records in their order, the distinct touches, and the unreadable payloads."""

    events: list[Event]
    touches: list[Touch]
    malformed: list[bytes]

    def readable(self) -> list[Event]:
        """Return the records that can be read."""
        broken = set(self.malformed)
        return [event for event in self.events if event.value not in broken]


def workload(
    count: int, customers: int, now_ms: int, regime: Regime = "bursty", seed: int = 1
) -> Workload:
    """Return `count` records; the first of each partition cannot be read."""
    rng = random.Random(seed)
    who = _customers(regime, customers, rng)
    made = Workload([], [], [])
    recent: deque[Event] = deque(maxlen=_REDELIVERED_WITHIN)
    begun: set[int] = set()
    for number in range(count):
        draw = rng.random()
        if recent and draw < REDELIVERED:
            made.events.append(recent[rng.randrange(len(recent))])
            continue
        event, touch = _event(number, who(), now_ms, rng)
        partition = partition_of(event.key, PARTITIONS)
        if draw > 1 - MALFORMED or partition not in begun:
            begun.add(partition)
            broken = _broken(event.value, len(made.malformed))
            made.malformed.append(broken)
            made.events.append(Event(event.key, broken))
            continue
        made.touches.append(touch)
        made.events.append(event)
        recent.append(event)
    return made


def once_each(customers: int, now_ms: int) -> Iterator[Event]:
    """Yield one event of every customer, to fill a state of that size."""
    rng = random.Random(2)
    for customer in range(customers):
        yield _event(_FIRST_OF_EACH + customer, customer, now_ms, rng)[0]


def _customers(regime: Regime, customers: int, rng: random.Random) -> Callable[[], int]:
    """Return a function that chooses the customer of the next event."""

    def skewed() -> int:
        return int(customers * rng.random() ** 2)

    sessions = [skewed() for _ in range(min(SESSIONS, customers))]

    def bursty() -> int:
        place = rng.randrange(len(sessions))
        customer = sessions[place]
        if rng.random() < 1 / SESSION_TOUCHES:
            sessions[place] = skewed()
        return customer

    def hot() -> int:
        return customers if rng.random() < _HOT else bursty()

    def uniform() -> int:
        return rng.randrange(customers)

    return {"bursty": bursty, "skewed": skewed, "uniform": uniform, "hot": hot}[regime]


def _event(number: int, customer: int, now_ms: int, rng: random.Random) -> tuple[Event, Touch]:
    channel, event_type = rng.choice(_KINDS)
    name = f"c{customer}"
    identifiers = {"customer_id": [name]}
    if channel == "email":
        identifiers["email"] = [f"{name}@example.com"]
    elif channel == "web":
        identifiers["anonymous_id"] = [f"browser-{name}"]
    cents = rng.randrange(100, 20_000) if event_type == "order_completed" else 0
    at_ms = now_ms - _ago(rng)
    row = TouchpointRow(
        event_id=f"event-{number}",
        channel=channel,
        type=event_type,
        source="benchmark",
        direction="inbound",
        occurred_at=rfc3339(at_ms),
        received_at=rfc3339(now_ms),
        lead_kind="customer_id",
        lead_value=name,
        lead_id=identifier_id("customer_id", name),
        identifiers=identifiers,
        traits={"city": rng.choice(("Tokyo", "Osaka", "Kyoto"))} if rng.random() < 0.1 else {},
        value_amount=f"{cents / 100:.2f}" if cents else None,
        value_currency="USD" if cents else "",
        url="https://shop.example.com/products/1234",
        properties="{}",
        schema_version=SCHEMA_VERSION,
    )
    touch = Touch(row.lead_id, channel, event_type, at_ms, cents)
    return Event(row.lead_id.encode(), touchpoint_row.encode(row)), touch


def _ago(rng: random.Random) -> int:
    """Choose an event's age: most events are of the last minutes, some are late.

    None is near the end of a window of seven or thirty days: counting by the hour or by the day, a
    little earlier or later, gives the same segments.
    """
    if rng.random() >= _LATE:
        return rng.randrange(HOUR_MS // 6)
    return rng.choice((rng.randrange(5 * DAY_MS), 9 * DAY_MS + rng.randrange(16 * DAY_MS)))


def _broken(value: bytes, number: int) -> bytes:
    """Return a broken record: cut off, no JSON at all, or without the event's id; no two alike."""
    mark = str(number).encode()
    return (
        value[: len(value) // 2],
        b"\xff\xfe not JSON " + mark,
        b'{"broken":' + mark + b"," + value[value.index(b'"channel"') :],
    )[number % 3]


def batches(events: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the events in slices."""
    for start in range(0, len(events), size):
        yield events[start : start + size]

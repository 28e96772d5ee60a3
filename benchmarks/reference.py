"""The correct result, computed slowly from the touches, and the check of a contender's result."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from benchmarks.workload import Touch, Workload
from processors.profiles.score import WEIGHTS
from schemas.times import DAY_MS, parse_ms

#: The choice of a day or an hour as bucket moves a score by less than this fraction.
_TOLERANCE = 0.025


class WrongResult(Exception):
    """A contender's result differs from that of the workload; it has no figures."""


class Profile(NamedTuple):
    """A customer's profile, limited to the fields that all contenders publish."""

    first_ms: int
    last_ms: int
    touches: int
    channels: dict[str, int]
    orders: int
    cents: int
    segments: tuple[str, ...]
    points: float


class Topics(NamedTuple):
    """The topics of a contender's results, and the decoder of its dead letters' bytes."""

    profiles: str
    changes: str
    dead: str
    payload: Callable[[bytes], bytes] = lambda value: value


def ours_payload(value: bytes) -> bytes:
    """Return the bytes that a row of `touchpoints.rejected` keeps."""
    return base64.b64decode(msgspec.json.decode(value)["payload_base64"])


class Published(NamedTuple):
    """All records that a contender has published, each topic in the order of its partitions."""

    profiles: Iterable[bytes]
    changes: Iterable[bytes]
    #: The bytes that could not be read.
    dead: Iterable[bytes]


def published(servers: str, topics: Topics) -> Published:
    """Read the content of a contender's topics."""
    return Published(
        _values(servers, topics.profiles),
        _values(servers, topics.changes),
        map(topics.payload, _values(servers, topics.dead)),
    )


def check(found: Published, workload: Workload, now_ms: int) -> None:
    """Raise WrongResult unless profiles, memberships and dead letters are those expected."""
    wanted = expected(workload.touches, now_ms)
    profiles = _profiles(found.profiles)
    if missing := wanted.keys() ^ profiles.keys():
        raise WrongResult(f"{len(missing)} profiles missing or unexpected")
    for name, profile in wanted.items():
        _same(name, profiles[name], profile)
    members = {(segment, name) for name, one in wanted.items() for segment in one.segments}
    if _members(found.changes) != members:
        raise WrongResult("the changes of segments do not lead to the memberships")
    if set(found.dead) != set(workload.malformed):
        raise WrongResult("the dead letters are not what cannot be read")


def expected(touches: Iterable[Touch], now_ms: int) -> dict[str, Profile]:
    """Return the profile of every customer."""
    by_customer: dict[str, list[Touch]] = defaultdict(list)
    for touch in touches:
        by_customer[touch.profile_id].append(touch)
    return {name: _profile(all_of_one, now_ms) for name, all_of_one in by_customer.items()}


def _profile(touches: Sequence[Touch], now_ms: int) -> Profile:
    last_ms = max(touch.at_ms for touch in touches)
    orders = [touch for touch in touches if touch.type == "order_completed"]
    age = {id(touch): (last_ms - touch.at_ms) / DAY_MS for touch in touches}
    return Profile(
        min(touch.at_ms for touch in touches),
        last_ms,
        len(touches),
        dict(Counter(touch.channel for touch in touches)),
        len(orders),
        sum(touch.cents for touch in orders),
        tuple(_segments(touches, now_ms)),
        sum(WEIGHTS.get(touch.type, 1) * 0.5 ** (age[id(touch)] / 30) for touch in touches),
    )


def _segments(touches: Sequence[Touch], now_ms: int) -> Iterable[str]:
    """Yield the segments of benchmarks/segments/ that match, in the order of their names."""

    def count(event_type: str, days: int) -> int:
        since = now_ms - days * DAY_MS
        return sum(touch.type == event_type and touch.at_ms > since for touch in touches)

    spent = sum(touch.cents for touch in touches if touch.at_ms > now_ms - 365 * DAY_MS)
    if any(touch.at_ms > now_ms - 30 * DAY_MS for touch in touches):
        yield "active"
    if spent >= 50_000:
        yield "big_spenders"
    if count("product_viewed", 7) >= 3 and not count("order_completed", 7):
        yield "hesitating_buyers"
    if count("order_completed", 30) and not count("order_completed", 7):
        yield "lapsed_buyers"
    if count("email_opened", 30) >= 2:
        yield "newsletter_readers"


def _same(name: str, found: Profile, wanted: Profile) -> None:
    for field, value in wanted._asdict().items():
        other = getattr(found, field)
        equal = abs(other - value) <= _TOLERANCE * value if field == "points" else other == value
        if not equal:
            raise WrongResult(f"{field} of {name} is {other}, expected {value}")


def _profiles(values: Iterable[bytes]) -> dict[str, Profile]:
    newest: dict[str, dict[str, Any]] = {}
    for value in values:
        row = msgspec.json.decode(value)
        old = newest.get(row["profile_id"])
        if old is None or row.get("version", 0) >= old.get("version", 0):
            newest[row["profile_id"]] = row
    return {name: _read(row) for name, row in newest.items() if row["touchpoints"]}


def _read(row: dict[str, Any]) -> Profile:
    """Convert our row, with times as text and revenue as decimal text."""
    ours = "revenue" in row
    return Profile(
        parse_ms(row["first_seen_at"]) if ours else row["first_seen_ms"],
        parse_ms(row["last_seen_at"]) if ours else row["last_seen_ms"],
        row["touchpoints"],
        row["channels"],
        row["orders"],
        round(float(row["revenue"].get("USD", 0)) * 100)
        if ours
        else row["revenue_cents"].get("USD", 0),
        tuple(row["segments"]),
        row["engagement_points"],
    )


def _members(values: Iterable[bytes]) -> set[tuple[str, str]]:
    """Return (segment, profile) for each whose last change was an entry."""
    last: dict[tuple[str, str], tuple[int, bool]] = {}
    for value in values:
        row = msgspec.json.decode(value)
        key, version = (row["segment"], row["profile_id"]), row.get("version", 0)
        if key not in last or version >= last[key][0]:
            last[key] = (version, row["change"] == "entered")
    return {key for key, (_, entered) in last.items() if entered}


def _values(servers: str, topic: str) -> Iterable[bytes]:
    """Return everything in a topic, each partition in its order."""
    consumer: Any = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for records in consumer.poll(1000).values():
            yield from (record.value for record in records)
    consumer.close()

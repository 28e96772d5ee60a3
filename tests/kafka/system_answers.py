"""Touches of customers without conflicts, and what they must come to, by the in-memory pipeline."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.config.segments import load_segments
from schemas.identifiers import IdentityPolicy
from schemas.messages import SplitCommand, encode
from schemas.topics import LINK_REQUESTS
from schemas.touchpoint import Touchpoint
from tests.support.pipeline import Pipeline
from tests.support.system import System
from tests.support.waiting import wait_until

SEGMENTS = {
    "buyers": "count: {type: order_completed, at_least: 2, within: 7d}",
    "spenders": "sum: {type: order_completed, currency: JPY, at_least: 9000}",
    "quiet": "last_touch: {not_within: 2d}",
    "from_shop": "count: {source: shop, at_least: 1}",
    "reachable": "all: [{identifier: {kind: email}}, {consent: {purpose: marketing, is: true}}]",
    "tokyo": "trait: {name: city, equals: Tokyo}",
}
#: Ages of touches keep away from the edges of the windows above: the clock goes on meanwhile.
_EDGES = (timedelta(days=2), timedelta(days=7))
Event = Mapping[str, Any]


def source_of(event: Event) -> str:
    """Orders come from the shop, all else from the web."""
    return "shop" if event["type"] == "order_completed" else "web"


def touches(count: int, people: int, now: datetime, seed: int = 1) -> list[Event]:
    """Touches of people of whom each has identifiers of their own, in the order of time."""
    rng = random.Random(seed)
    made = [_touch(rng, number, rng.randrange(people), now) for number in range(count)]
    return sorted(made, key=lambda event: event["occurred_at"])


def _touch(rng: random.Random, number: int, person: int, now: datetime) -> Event:
    own = [
        ("customer_id", f"c{person}"),
        ("email", f"p{person}@example.com"),
        ("line", f"U{person}"),
        ("anonymous_id", f"a{person}"),
        ("anonymous_id", f"b{person}"),
        ("device_id", f"d{person}"),
    ]
    chosen = rng.sample(own, rng.randint(1, 3))
    order = rng.random() < 0.4
    event: dict[str, Any] = {
        "event_id": f"e{number}",
        "channel": "commerce" if order else rng.choice(("web", "email", "phone", "social")),
        "type": "order_completed" if order else rng.choice(("page_viewed", "call_completed")),
        "identifiers": [{"kind": kind, "value": value} for kind, value in chosen],
        "occurred_at": (now - _age(rng)).isoformat(timespec="milliseconds"),
        "traits": rng.choice(({}, {"city": "Tokyo"}, {"city": None}, {"city": "京都"})),
        "consent": rng.choice(({}, {"marketing": True}, {"marketing": False})),
        "duration_s": 1.5,
    }
    if order:
        event["value"] = {"amount": rng.randint(1, 5000), "currency": "JPY"}
    return event


def _age(rng: random.Random) -> timedelta:
    while True:
        age = timedelta(minutes=rng.randint(10, 60 * 24 * 30))
        if all(abs(age - edge) > timedelta(hours=2) for edge in _EDGES):
            return age


def disordered(events: Sequence[Event], seed: int = 2) -> list[tuple[str, list[Event]]]:
    """The same in any order, every fifth twice, as batches of their sources."""
    rng = random.Random(seed)
    sent = [*events, *rng.sample(list(events), len(events) // 5)]
    rng.shuffle(sent)
    batches: list[tuple[str, list[Event]]] = []
    for source in ("shop", "web"):
        own = [event for event in sent if source_of(event) == source]
        batches += [(source, own[at : at + 10]) for at in range(0, len(own), 10)]
    rng.shuffle(batches)
    return batches


def expected(
    events: Sequence[Event],
    segments: Path,
    now: datetime,
    steps: Sequence[Event | SplitCommand] = (),
    policy: IdentityPolicy | None = None,
) -> dict[str, Any]:
    """Return what the views must show: each touch once, in order, through the stages in memory.

    First the steps, each of which is decided before the next one.
    """
    pipeline = Pipeline(segments=load_segments(segments), policy=policy)
    pipeline.now_ms = int(now.timestamp() * 1000)
    for step in steps:
        if isinstance(step, SplitCommand):
            pipeline.publish(LINK_REQUESTS.name, b"", encode(step))
        else:
            pipeline.touch(Touchpoint.model_validate(step), source_of(step))
        pipeline.run()
    for event in events:
        pipeline.touch(Touchpoint.model_validate(event), source_of(event))
    pipeline.run()
    pipeline.sleep(1000)
    return of_pipeline(pipeline)


def of_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    """Return what the views must show where this pipeline had the same touches."""
    profile_of = pipeline.identities()
    profiles = pipeline.profiles()
    hours = pipeline.engagement()
    return {
        "touchpoints": {
            (row["source"], row["event_id"]): (
                profile_of[row["lead_kind"], row["lead_value"]],
                row["channel"],
                row["type"],
                row["occurred_at"],
                _money({row["value_currency"]: row["value_amount"]}),
                row["identifiers"],
            )
            for row in pipeline.touchpoints().values()
        },
        "profiles": {key: _profile(row) for key, row in profiles.items()},
        "scores": {
            key: _score(row["engagement_points"], row["last_seen_at"])
            for key, row in profiles.items()
        },
        "identities": profile_of,
        "members": pipeline.members(),
        "hourly": {
            # ClickHouse shows whole seconds there.
            (hour.replace(".000Z", "Z"), *rest): (touches, Decimal(str(amount)), seconds)
            for (hour, *rest), (touches, amount, seconds) in hours.items()
        },
    }


def compare(
    system: System,
    events: Sequence[Event],
    now: datetime,
    steps: Sequence[Event | SplitCommand] = (),
    policy: IdentityPolicy | None = None,
) -> None:
    """The views show what the in-memory pipeline makes of the same touches, and go on doing so."""
    wanted = expected(events, system.folder / "segments", now, steps, policy)
    scores = wanted.pop("scores")

    def differences() -> dict[str, list[Any]]:
        found = shown(system)
        return {
            name: sorted(_items(found[name]) ^ _items(value))[:10]
            for name, value in wanted.items()
            if found[name] != value
        }

    system.drained(90)
    # Time is brought to all segments by ticks, about one a second.
    wait_until(lambda: not differences(), 20, 0.5, differences)
    system.drained()
    assert not differences()
    assert shown(system)["scores"] == pytest.approx(scores, abs=0.2)


def _items(collection: Any) -> set[str]:
    return set(map(repr, collection.items() if isinstance(collection, dict) else collection))


def shown(system: System) -> dict[str, Any]:
    """The same from the views of ClickHouse."""
    columns = "window_start, channel, type, source, campaign_name, value_currency"
    profiles = {row["profile_id"]: row for row in system.view("SELECT * FROM {bi}.profiles")}
    return {
        "touchpoints": {
            (row["source"], row["event_id"]): (
                row["profile_id"],
                row["channel"],
                row["type"],
                row["occurred_at"],
                _money({row["value_currency"]: row["value_amount"]}),
                row["identifiers"],
            )
            for row in system.view("SELECT * FROM {bi}.touchpoints")
        },
        "profiles": {key: _profile(row) for key, row in profiles.items()},
        "scores": {key: row["engagement_score"] for key, row in profiles.items()},
        "identities": {
            (row["kind"], row["value"]): row["profile_id"]
            for row in system.view("SELECT * FROM {bi}.identities")
        },
        "members": {
            (row["segment"], row["profile_id"])
            for row in system.view("SELECT * FROM {bi}.segment_members")
        },
        "hourly": {
            tuple(row[name] for name in columns.split(", ")): (
                row["touchpoints"],
                Decimal(row["value_amount"]),
                row["duration_s"],
            )
            for row in system.view("SELECT * FROM {bi}.engagement_hourly")
        },
    }


def _profile(row: Mapping[str, Any]) -> dict[str, Any]:
    same = (
        "customer_id", "email", "phone", "display_name", "traits", "first_seen_at",
        "last_seen_at", "touchpoints", "channels", "orders", "segments", "consent",
    )  # fmt: skip
    return {name: row[name] for name in same} | {"revenue": _money(row["revenue"])}


def _money(amounts: Mapping[str, str | None]) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in amounts.items() if amount is not None}


def _score(points: float, last_seen_at: str) -> float:
    age = (datetime.now(UTC) - datetime.fromisoformat(last_seen_at)).total_seconds()
    return 100 * (1 - math.exp(-points * 2 ** (-age / 2_592_000) / 20))

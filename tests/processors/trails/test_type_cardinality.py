"""Trails with more event types than a row should hold."""

from __future__ import annotations

import random
from collections import Counter

from processors.profiles.merge import merge
from processors.trails.builder import TrailBuilder
from processors.trails.type_cardinality import MOST_TYPES, OTHER_CHANNELS, OTHER_TYPES
from schemas import trail
from schemas.features import totals
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.times import DAY_MS, rfc3339
from schemas.touchpoint_row import TouchpointRow
from schemas.trail import FeatureKey, feature_key
from tests.support.touches import MAY

WHO = Identifier("customer_id", "C-1")
VIEWS = FeatureKey("web", "page_viewed", source="shop")


def row(n: int, channel: str, event_type: str, **more: str) -> TouchpointRow:
    return TouchpointRow(
        event_id=str(n),
        channel=channel,
        type=event_type,
        source="shop",
        direction="inbound",
        occurred_at=rfc3339(MAY + n * DAY_MS // 24),
        received_at=rfc3339(MAY + n * DAY_MS // 24),
        lead_kind=WHO.kind,
        lead_value=WHO.value,
        lead_id="",
        identifiers={},
        properties="{}",
        schema_version=1,
        **more,
    )


def rows_of(types: int) -> list[TouchpointRow]:
    """Products as types on three channels; known types between them; money here and there."""
    found = []
    for n in range(types * 3):
        money = {"value_amount": "2.5", "value_currency": "EUR"} if n % 5 == 0 else {}
        channel = ("web", "commerce", "kiosk_7")[n % 3]
        found.append(row(2 * n, channel, f"viewed_{n // 2}", **money))
        found.append(row(2 * n + 1, "web", "page_viewed"))
    return found


def folded(rows: list[TouchpointRow], batch: int) -> bytes:
    packed = None
    for start in range(0, len(rows), batch):
        builder = TrailBuilder(packed)
        for one in rows[start : start + batch]:
            builder.add(one, MAY + int(one.event_id) * DAY_MS // 24, frozenset({VIEWS}))
        packed = builder.pack()
    assert packed is not None
    return packed


def content(packed: bytes) -> tuple[object, dict[str, bytes]]:
    """All of a trail; the order in which its features came to be tells nothing."""
    kept = trail.decode(packed)
    return (kept.first_ms, kept.last_ms, kept.received_ms), dict(sorted(kept.features.items()))


def test_a_few_hundred_types_stay_as_they_are() -> None:
    rows = rows_of(types=80)
    kinds = {(one.channel, one.type) for one in rows}
    features = trail.decode(folded(rows, 100)).features
    assert {(key.channel, key.type) for key in map(feature_key, features)} == kinds
    assert not any(OTHER_TYPES in name for name in features)


def test_which_types_are_counted_together_depends_on_the_set_of_touches_alone() -> None:
    rows = rows_of(types=600)
    wanted = content(folded(rows, len(rows)))
    rng = random.Random(3)
    for batch in (7, 100, 1000):
        rng.shuffle(rows)
        assert content(folded(rows, batch)) == wanted


def test_nothing_is_lost_of_what_a_profile_says() -> None:
    rows = rows_of(types=600)
    kept = trail.decode(folded(rows, 500))
    merged = merge([WHO], [kept], IdentityPolicy())
    expected = Counter(one.channel for one in rows)
    of_kiosk = expected.pop("kiosk_7")
    kiosk_kept = merged.channels.get("kiosk_7", 0)
    assert merged.touches == len(rows)
    assert {name: merged.channels[name] for name in expected} == expected
    assert kiosk_kept + merged.channels[OTHER_CHANNELS] == of_kiosk
    money = [name for name in kept.features if feature_key(name).currency == "EUR"]
    paid = sum(one.value_amount is not None for one in rows)
    assert sum(totals(kept.features[name]).touches for name in money) == paid
    assert sum(totals(kept.features[name]).amount for name in money) == paid * 2_500_000


def test_known_types_and_those_of_segments_are_never_counted_with_others() -> None:
    rows = rows_of(types=600)
    features = trail.decode(folded(rows, 500)).features
    names = {feature_key(name): totals(packed).touches for name, packed in features.items()}
    views = sum(one.type == "page_viewed" for one in rows)
    assert names[FeatureKey("web", "page_viewed")] == names[VIEWS] == views
    others = {(key.channel, key.type) for key in names} - {("web", "page_viewed")}
    assert len([pair for pair in others if pair[1] != OTHER_TYPES]) == MOST_TYPES

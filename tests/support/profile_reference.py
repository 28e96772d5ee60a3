"""The slow reference of profiles: the whole set of touches folded at once, given who is who.

Nothing here is shared with the stages. Segments are written down anew, in plain Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from deploy.config.segments import load_segments
from processors.segments import Segment
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.times import DAY_MS, HOUR_MS, parse_ms, rfc3339
from schemas.touchpoint_row import TouchpointRow

#: Each with its twin in `Person.segments`. Windows over two days end with the hour.
DEFINITIONS = {
    "buyers": "count: {type: order_completed, at_least: 2, within: 7d}",
    "spenders": "sum: {type: order_completed, currency: JPY, at_least: 3000}",
    "quiet": "last_touch: {not_within: 2d}",
    "from_shop": "count: {source: shop, at_least: 1}",
    "mailable": "all: [{identifier: {kind: email, exists: true}}, "
    "{consent: {purpose: marketing, is: true}}]",
    "tokyo": "trait: {name: city, equals: Tokyo}",
}


def segments(folder: Path) -> list[Segment]:
    """The definitions, compiled."""
    folder.mkdir(exist_ok=True)
    for name, when in DEFINITIONS.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\ndescription: .\nwhen:\n  {when}\n")
    return list(load_segments(folder))


@dataclass
class Person:
    """A profile: its identifiers, the touches that they led."""

    identifiers: list[Identifier] = field(default_factory=list)
    touches: list[TouchpointRow] = field(default_factory=list)

    def row(self, now_ms: int) -> dict[str, Any]:
        """The columns of the profile's row that this derives."""
        times = [parse_ms(one.occurred_at) for one in self.touches]
        orders = [one for one in self.touches if one.type == "order_completed"]
        channels = [one.channel for one in self.touches]
        return {
            "customer_id": next(iter(self._values("customer_id")), ""),
            "email": self._shown("email"),
            "phone": self._shown("phone"),
            "traits": {n: v for n, v in self._last("traits").items() if v is not None},
            "consent": self._last("consent"),
            "first_seen_at": rfc3339(min(times)),
            "last_seen_at": rfc3339(max(times)),
            "touchpoints": len(self.touches),
            "channels": {name: channels.count(name) for name in sorted(set(channels))},
            "orders": len(orders),
            "revenue": {
                currency: sum((amount_of(o, currency) for o in orders), Decimal())
                for currency in sorted({o.value_currency for o in orders if o.value_currency})
            },
            "segments": sorted(name for name, yes in self.segments(now_ms).items() if yes),
        }

    def segments(self, now_ms: int) -> dict[str, bool]:
        """The twins of `DEFINITIONS`."""
        orders = [one for one in self.touches if one.type == "order_completed"]
        hours = [parse_ms(one.occurred_at) // HOUR_MS * HOUR_MS for one in orders]
        last = max(parse_ms(one.occurred_at) for one in self.touches)
        return {
            "buyers": sum(hour + HOUR_MS > now_ms - 7 * DAY_MS for hour in hours) >= 2,
            "spenders": sum((amount_of(o, "JPY") for o in orders), Decimal()) >= 3000,
            "quiet": last <= now_ms - 2 * DAY_MS,
            "from_shop": any(one.source == "shop" for one in self.touches),
            "mailable": bool(self._values("email"))
            and self._last("consent").get("marketing") is True,
            "tokyo": self._last("traits").get("city") == "Tokyo",
        }

    def _values(self, kind: str) -> list[str]:
        return sorted((o.value for o in self.identifiers if o.kind == kind), key=str.encode)

    def _shown(self, kind: str) -> str:
        """The one that its touches named last; in a tie, and of those never named, the greater."""

        def named(value: str) -> int:
            naming = [one for one in self.touches if value in one.identifiers.get(kind, ())]
            return max((parse_ms(one.occurred_at) for one in naming), default=0)

        return max(self._values(kind), key=lambda v: (named(v), v), default="")

    def _last(self, what: str) -> dict[str, Any]:
        """By the time of the event, whoever won a merge."""
        found: dict[str, Any] = {}
        for one in sorted(self.touches, key=_order):
            found |= getattr(one, what)
        return found


def amount_of(order: TouchpointRow, currency: str) -> Decimal:
    """Return the amount of an order in a currency."""
    if order.value_currency != currency or order.value_amount is None:
        return Decimal()
    return Decimal(order.value_amount)


def profiles(
    touches: Iterable[TouchpointRow],
    who: Mapping[Identifier, str],
    policy: IdentityPolicy,
    now_ms: int,
) -> dict[str, dict[str, Any]]:
    """Profile id -> its row; a profile without touches is not shown."""
    people: dict[str, Person] = {}
    for one in sorted(who, key=policy.strength):
        people.setdefault(who[one], Person()).identifiers.append(one)
    for touch in distinct(touches):
        people[who[Identifier(touch.lead_kind, touch.lead_value)]].touches.append(touch)
    return {key: one.row(now_ms) for key, one in people.items() if one.touches}


def engagement(touches: Iterable[TouchpointRow]) -> dict[tuple[str, ...], tuple[int, float, float]]:
    """Per hour, channel, type, source, campaign and currency: touches, amount, seconds."""
    found: dict[tuple[str, ...], tuple[int, float, float]] = {}
    for one in distinct(touches):
        hour = rfc3339(parse_ms(one.occurred_at) // HOUR_MS * HOUR_MS)
        key = (hour, one.channel, one.type, one.source, one.campaign_name, one.value_currency)
        count, amount, seconds = found.get(key, (0, 0.0, 0.0))
        found[key] = (
            count + 1,
            round(amount + float(one.value_amount or 0), 6),
            round(seconds + (one.duration_s or 0), 3),
        )
    return found


def distinct(touches: Iterable[TouchpointRow]) -> list[TouchpointRow]:
    """Each event once: source, event id and lead name it, the first stands."""
    found: dict[tuple[str, str, str], TouchpointRow] = {}
    for touch in touches:
        found.setdefault((touch.source, touch.event_id, touch.lead_id), touch)
    return list(found.values())


def _order(touch: TouchpointRow) -> tuple[int, str, str]:
    return parse_ms(touch.occurred_at), touch.source, touch.event_id

"""Segments evaluated the slow way: over the plain list of a person's touches.

It shares nothing with processors.segments but the models of a definition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from processors.segments.profile_view import ProfileView
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, parse_ms
from schemas.trail import FeatureKey, feature_name
from tests.support.feature_reference import feature_of

MILLION = 1_000_000


@dataclass(frozen=True)
class Touch:
    at_ms: int
    channel: str = "web"
    type: str = "page_viewed"
    source: str = "shop"
    campaign: str = ""
    direction: str = "inbound"
    micros: int = 0
    currency: str = ""
    trail: int = 0


@dataclass(frozen=True)
class Person:
    touches: Sequence[Touch] = ()
    identifiers: Sequence[str] = ()
    traits: dict[str, str] | None = None
    consent: dict[str, bool] | None = None


def view_of(person: Person, required: Iterable[FeatureKey]) -> ProfileView:
    """The view that the stages before make of the person."""
    trails: dict[int, dict[FeatureKey, list[tuple[int, int]]]] = {}
    for touch in person.touches:
        features = trails.setdefault(touch.trail, {})
        keys = [FeatureKey(touch.channel, touch.type)]
        if touch.currency:
            keys.append(FeatureKey(touch.channel, touch.type, touch.currency))
        keys += [key for key in required if _counts_in(key, touch)]
        for key in keys:
            features.setdefault(key, []).append((touch.at_ms, touch.micros))
    return ProfileView(
        identifiers={kind: ("value",) for kind in person.identifiers},
        traits=person.traits or {},
        consent=person.consent or {},
        features=[
            {
                feature_name(key): feature_of(touches, bool(key.currency))
                for key, touches in features.items()
            }
            for features in trails.values()
        ],
    )


def _counts_in(key: FeatureKey, touch: Touch) -> bool:
    return (
        key.channel in ("", touch.channel)
        and key.type in ("", touch.type)
        and key.currency in ("", touch.currency)
        and key.source in ("", touch.source)
        and key.campaign in ("", touch.campaign)
        and key.direction in ("", touch.direction)
    )


def is_member(  # noqa: PLR0911 - one return per condition reads best
    when: dict[str, Any], person: Person, now: int
) -> bool:
    """Return whether the condition, as YAML has it, holds."""
    ((keyword, body),) = when.items()
    match keyword:
        case "all":
            return all([is_member(part, person, now) for part in body])
        case "any":
            return any([is_member(part, person, now) for part in body])
        case "not":
            return not is_member(body, person, now)
        case "identifier":
            return (body["kind"] in person.identifiers) == body.get("exists", True)
        case "consent":
            return (person.consent or {}).get(body["purpose"]) == body["is"]
        case "trait":
            return _trait(body, (person.traits or {}).get(body["name"]))
        case "count":
            return _bounds(body, len(_matching(body, person.touches, now)), 1)
        case "sum":
            touches = [t for t in person.touches if t.currency == body["currency"]]
            total = sum(touch.micros for touch in _matching(body, touches, now))
            return _bounds(body, total, MILLION)
        case "last_touch" | "first_touch":
            touches = _matching({**body, "within": None}, person.touches, now)
            if not touches:
                return False
            choose = max if keyword == "last_touch" else min
            at = choose(touch.at_ms for touch in touches)
            newer, older = body.get("within"), body.get("not_within")
            return (newer is None or _inside(at, newer, now)) and (
                older is None or not _inside(at, older, now)
            )
    raise AssertionError(keyword)


def next_change(when: dict[str, Any], person: Person, now: int) -> int | None:
    """The first moment after now at which time alone changes the answer."""
    present = is_member(when, person, now)
    for moment in moments(when, person, now):
        if is_member(when, person, moment) != present:
            return moment
    return None


def moments(when: dict[str, Any], person: Person, now: int) -> list[int]:
    """All moments after now at which anything can change: where a touch leaves a window."""
    windows = [_ms(text) for text in re.findall(r"'(?:not_)?within': '(\w+)'", str(when))]
    ends = {
        stands + window
        for touch in person.touches
        for stands in (touch.at_ms, _end_of_hour(touch.at_ms))
        for window in windows
    }
    return sorted(end for end in ends if end > now)


def _matching(body: dict[str, Any], touches: Iterable[Touch], now: int) -> list[Touch]:
    fields = ("channel", "type", "source", "campaign", "direction")
    window = body.get("within")
    return [
        touch
        for touch in touches
        if all(getattr(touch, field) == body.get(field, getattr(touch, field)) for field in fields)
        and (window is None or _inside(touch.at_ms, window, now))
    ]


def _inside(at: int, window: str, now: int) -> bool:
    length = _ms(window)
    return (at if length <= 2 * DAY_MS else _end_of_hour(at)) > now - length


def _end_of_hour(at: int) -> int:
    return at - at % HOUR_MS + HOUR_MS - 1


def _ms(text: str) -> int:
    units = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
    return int(text[:-1]) * units[text[-1]]


def _bounds(body: dict[str, Any], total: int, unit: int) -> bool:
    low, high = body.get("at_least"), body.get("at_most")
    return (low is None or total >= low * unit) and (high is None or total <= high * unit)


def _trait(body: dict[str, Any], text: str | None) -> bool:
    if text is None or body.get("exists") is False:
        return text is None and body.get("exists") is False
    return all(_compare(word, body[word], text) for word in body if word != "name")


def _compare(word: str, operand: Any, text: str) -> bool:  # noqa: PLR0911 - the same
    match word:
        case "equals":
            return text == _text(operand)
        case "not_equals":
            return text != _text(operand)
        case "in":
            return text in [_text(item) for item in operand]
        case "contains":
            return operand in text
        case "matches":
            return re.search(operand, text) is not None
        case "greater_than":
            return (order := _ordered(text, operand)) is not None and order > 0
        case "less_than":
            return (order := _ordered(text, operand)) is not None and order < 0
    return True


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _ordered(text: str, operand: Any) -> int | None:
    try:
        left, right = Decimal(text), Decimal(str(operand))
    except InvalidOperation:
        try:
            left, right = Decimal(parse_ms(text)), Decimal(parse_ms(str(operand)))
        except ValueError:
            return None
    return (left > right) - (left < right)


def shifted(person: Person, by_ms: int) -> Person:
    """The same person, everything later by so much."""
    return replace(person, touches=[replace(t, at_ms=t.at_ms + by_ms) for t in person.touches])

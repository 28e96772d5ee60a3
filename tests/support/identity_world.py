"""A small world for tests of identity: few identifiers, so that links meet, and few policies."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from processors.segments import Segment
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.times import HOUR_MS, rfc3339
from schemas.touchpoint import Touchpoint
from schemas.touchpoint_row import TouchpointRow
from tests.support import profile_reference
from tests.support.pipeline import accepted
from tests.support.touches import order, touch

#: Short name -> identifier, as the edge would leave it.
IDENTIFIERS = {
    **{f"c{n}": Identifier("customer_id", f"c{n}") for n in range(3)},
    "l0": Identifier("loyalty_id", "l0"),
    **{f"e{n}": Identifier("email", f"e{n}@example.com") for n in range(4)},
    **{f"p{n}": Identifier("phone", f"+81901234000{n}") for n in range(2)},
    **{f"U{n}": Identifier("line", f"U{n}") for n in range(2)},
    "card": Identifier("shop_card", "card"),
    **{f"d{n}": Identifier("device_id", f"d{n}") for n in range(3)},
    "till": Identifier("till_id", "till"),
    **{f"b{n}": Identifier("anonymous_id", f"b{n}") for n in range(5)},
}
NAMES = tuple(IDENTIFIERS)
SHORT = {one: name for name, one in IDENTIFIERS.items()}
SOURCES = ("web", "shop", "crm")
#: A source with `links: false`.
KIOSK = "kiosk"

_STRICT = replace(
    IdentityPolicy().with_kinds(
        {
            "email": {"limit": 2},
            "device_id": {"limit": 2},
            "till_id": {"joins": False, "strength": 905, "limit": 1},
            "anonymous_id": {"limit": 2},
        }
    ),
    joins_per_day=3,
)
POLICIES = {
    "strict": _STRICT,
    "default": IdentityPolicy(),
    "devices join": _STRICT.with_kinds(
        {kind: {"joins": True} for kind in ("device_id", "till_id", "anonymous_id")}
    ),
    "phones follow": _STRICT.with_kinds(
        {
            "shop_card": {"strength": 35},
            **{kind: {"joins": False} for kind in ("phone", "line", "facebook", "instagram", "x")},
        }
    ),
}
#: Ages of touches keep an hour away from the edges of all windows, whatever hour it becomes.
STEP_MS = 6 * HOUR_MS
START_MS = 1_780_012_800_000 // STEP_MS * STEP_MS + STEP_MS // 2
TRAITS = ({}, {"city": "Tokyo"}, {"city": "Kyoto", "name": "Hana"}, {"city": None})
CONSENTS = ({}, {"marketing": True}, {"marketing": False})


@lru_cache
def segments() -> tuple[Segment, ...]:
    """Segments that have a twin in the reference."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple(profile_reference.segments(Path(folder) / "segments"))


@lru_cache(100_000)
def row(number: int, names: tuple[str, ...], source: str, what: int, policy: str) -> TouchpointRow:
    """Touch number `number`; `what` chooses the rest of it."""
    return accepted(made(number, names, what), source, POLICIES[policy], START_MS)


def made(number: int, names: tuple[str, ...], what: int) -> Touchpoint:
    """A visit or an order of 0 to 10 days before the start, with traits and consent or without."""
    identifiers = [tuple(IDENTIFIERS[name]) for name in names]
    occurred = START_MS - what % 41 * STEP_MS - STEP_MS // 12
    changes = {
        "occurred_at": rfc3339(occurred),
        "traits": TRAITS[what % len(TRAITS)],
        "consent": CONSENTS[what % len(CONSENTS)],
    }
    event_id = f"t{number}"
    if what % 5 > 2:
        currency = "USD" if what % 7 == 0 else "JPY"
        changes["value"] = {"amount": str(100 * (what % 97)), "currency": currency}
        return order(event_id, *identifiers, amount="0", **changes)
    return touch(event_id, *identifiers, duration_s=1.5, **changes)

"""Conversion of a touchpoint, as its source states it, into the record that is published.

Everything that all connectors share happens here, once: identifiers are normalized and the lead
is chosen, a wrong client clock is corrected, times are checked, defaults of the source are
applied. Pure: the time of receipt is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import msgspec

from ingest.loose_json import damage
from ingest.publishing.port import Message
from schemas.identifiers import Identifier, IdentityPolicy, identifier_id
from schemas.rejection import Reason, Rejection
from schemas.times import DAY_MS, EARLIEST_MS, LATEST_MS, MINUTE_MS, rfc3339, to_ms
from schemas.topics import TOUCHPOINTS
from schemas.touchpoint import Campaign, Touchpoint, Value
from schemas.touchpoint_row import SCHEMA_VERSION, TouchpointRow, encode
from schemas.violation import Violations

#: A client clock that is wrong by more than this is corrected.
CLOCK_TOLERANCE_MS = 5 * MINUTE_MS
#: A clock that is wrong by more than this may be no clock: what was sent as the time of sending is
#: then used only if a possible time comes of it.
_IMPROBABLE_CLOCK_MS = 366 * DAY_MS
#: Stands for a character that was lost, half of an emoji for instance.
_LOST = "\ufffd"
#: A touch may be this far ahead of the time of receipt.
FUTURE_LIMIT_MS = DAY_MS
#: Largest row: it fits into one Kafka record, and into a record batch of the later stages.
MAX_ROW_BYTES = 800_000
_COMPACT = msgspec.json.Encoder(order=None)
_NO_CAMPAIGN = Campaign()
#: All touches of a request have one time of receipt.
_received = lru_cache(maxsize=64)(rfc3339)


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """The configuration of a source that applies to all of its touches."""

    name: str
    policy: IdentityPolicy = field(default_factory=IdentityPolicy)
    #: ISO 3166 region of phone numbers without a country code.
    region: str | None = None
    #: ISO 4217 currency of amounts that name none.
    currency: str | None = None
    #: Replaces the channel of touches whose connector says "web" (a shop, a kiosk).
    channel: str | None = None
    #: Largest event, as it was sent.
    max_event_bytes: int = 256 * 1024


class Accepted(NamedTuple):
    """An accepted event: the key and the value of its record for the topic `touchpoints`."""

    event_id: str
    key: bytes
    value: bytes
    #: Differences from the tracking plan of its source, where that only warns.
    violations: Violations | None = None

    @property
    def message(self) -> Message:
        """The record, for a publisher."""
        return Message(TOUCHPOINTS.name, self.key, self.value)


def accept(
    touch: Touchpoint, source: SourcePolicy, received_ms: int, payload: bytes | Callable[[], bytes]
) -> Accepted | Rejection:
    """Return the record of a touchpoint, or the reason why it is refused.

    `payload` is stored with a refusal: the original bytes, or a function that returns them.
    """

    def refuse(reason: Reason, detail: str) -> Rejection:
        kept = payload if isinstance(payload, bytes) else payload()
        return Rejection(reason, detail, kept, touch.event_id)

    identifiers = source.policy.normalize_all(
        [(i.kind, i.value) for i in touch.identifiers], source.region
    )
    occurred_ms = occurred(touch, received_ms)
    problem = _problem(touch, identifiers, occurred_ms, received_ms)
    if problem is not None:
        return refuse(*problem)
    try:
        value = encode(_row(touch, source, identifiers, occurred_ms, received_ms))
    except (UnicodeEncodeError, OverflowError, TypeError, RecursionError):
        return refuse("invalid", _uncarried(touch))
    if len(value) > source.max_event_bytes:
        # The row holds JSON within JSON, so it may be longer than the event, whose size counts.
        event_bytes = len(payload if isinstance(payload, bytes) else payload())
        if event_bytes > source.max_event_bytes or len(value) > MAX_ROW_BYTES:
            return refuse("too_large", f"the event is over {source.max_event_bytes} bytes")
    lead = identifiers[0]
    return Accepted(touch.event_id, identifier_id(*lead).encode(), value)


def _problem(
    touch: Touchpoint, identifiers: list[Identifier], occurred_ms: int, received_ms: int
) -> tuple[Reason, str] | None:
    """Return why the ids or the time of a touchpoint cannot be accepted; None if they can."""
    lost = _lost_character(touch)
    if lost is not None:
        return "invalid", lost
    if not identifiers:
        return (
            "no_identifier",
            "identifiers: none is left that names a customer; send at least one, for instance "
            '{"kind": "customer_id", "value": "..."} or {"kind": "email", "value": "..."}',
        )
    if not EARLIEST_MS <= occurred_ms <= LATEST_MS:
        return "invalid_time", "occurred_at: the year must be from 1970 to 2100"
    if occurred_ms > received_ms + FUTURE_LIMIT_MS:
        return "invalid_time", "occurred_at: is more than 24 hours in the future"
    return None


def _lost_character(touch: Touchpoint) -> str | None:
    """Say which id has lost a character: two ids that differ in it alone would become one."""
    if _LOST in touch.event_id:
        name = "event_id"
    else:
        name = next((one.kind for one in touch.identifiers if _LOST in one.value), "")
    if not name:
        return None
    return f"{name}: has lost a character (U+FFFD, or half of a surrogate pair); send the whole id"


def _uncarried(touch: Touchpoint) -> str:
    """Say what of a touchpoint no JSON can carry."""
    for name, given in (("traits", touch.traits), ("properties", touch.properties)):
        found = damage(given, name)
        if found is not None:
            return f"{name}.{found}"
    return "the event holds text or numbers that JSON cannot carry"


def occurred(touch: Touchpoint, received_ms: int) -> int:
    """Return the time of the touch, ms: as stated, corrected by a client clock that is far off.

    A time of sending that cannot be one corrects nothing: it is there to help.
    """
    if touch.occurred_at is None:
        return received_ms
    stated = to_ms(touch.occurred_at)
    if touch.sent_at is None:
        return stated
    sent = to_ms(touch.sent_at)
    wrong_by = abs(received_ms - sent)
    if wrong_by <= CLOCK_TOLERANCE_MS:
        return stated
    corrected = received_ms - (sent - stated)
    if wrong_by > _IMPROBABLE_CLOCK_MS and not (
        EARLIEST_MS <= corrected <= min(LATEST_MS, received_ms + FUTURE_LIMIT_MS)
    ):
        return stated
    return corrected


def _row(
    touch: Touchpoint,
    source: SourcePolicy,
    identifiers: list[Identifier],
    occurred_ms: int,
    received_ms: int,
) -> TouchpointRow:
    lead = identifiers[0]
    by_kind: dict[str, list[str]] = {}
    for kind, value in identifiers:
        by_kind.setdefault(kind, []).append(value)
    campaign = touch.campaign or _NO_CAMPAIGN
    money = touch.value
    return TouchpointRow(
        event_id=touch.event_id,
        channel=channel_of(touch, source),
        type=touch.type,
        source=source.name,
        direction=touch.direction,
        occurred_at=rfc3339(occurred_ms),
        received_at=_received(received_ms),
        lead_kind=lead.kind,
        lead_value=lead.value,
        lead_id=identifier_id(*lead),
        identifiers=by_kind,
        traits={name: trait_text(trait) for name, trait in touch.traits.items()},
        consent=touch.consent,
        campaign_name=campaign.name or "",
        campaign_source=campaign.source or "",
        campaign_medium=campaign.medium or "",
        campaign_term=campaign.term or "",
        campaign_content=campaign.content or "",
        value_amount=None if money is None else f"{money.amount:f}",
        value_currency="" if money is None else currency_of(money, source),
        duration_s=touch.duration_s,
        outcome=touch.outcome or "",
        sentiment=touch.sentiment,
        subject=touch.subject or "",
        url=touch.url or "",
        properties=_COMPACT.encode(touch.properties).decode(),
        schema_version=SCHEMA_VERSION,
    )


def channel_of(touch: Touchpoint, source: SourcePolicy) -> str:
    """Return the touchpoint's channel: the source's, where the connector only knows "web"."""
    return (source.channel or touch.channel) if touch.channel == "web" else touch.channel


def currency_of(money: Value, source: SourcePolicy) -> str:
    """Return the currency of an amount, else that of its source, else ''."""
    return money.currency or source.currency or ""


def trait_text(value: object) -> str | None:
    """Return a trait's value as it is stored: text as it is, null unsets, the rest as JSON."""
    if value is None or isinstance(value, str):
        return value
    return _COMPACT.encode(value).decode()

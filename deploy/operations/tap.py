"""A live view of the touches that the gateway accepts, read from Kafka without a consumer group."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from deploy.config.settings import Settings
from deploy.kafka.clients import blocking
from deploy.kafka.control import present_generation
from schemas import touchpoint_row
from schemas.identifiers import Identifier
from schemas.topics import TOUCHPOINTS, full_name
from schemas.touchpoint_row import TouchpointRow

_POLL_MS = 250
#: Interval at which the present generation of topics is read.
_LOOK_S = 5.0
#: Characters shown of a masked value, if it is much longer.
_SHOWN = 2
_LONG = 6


class TouchFilter(NamedTuple):
    """A filter of the touches to show; '' and None match any."""

    source: str = ""
    channel: str = ""
    type: str = ""
    identifier: Identifier | None = None

    def matches(self, row: TouchpointRow) -> bool:
        """Return True if the filter matches this touch."""
        return (
            self.source in ("", row.source)
            and self.channel in ("", row.channel)
            and self.type in ("", row.type)
            and (
                self.identifier is None
                or self.identifier.value in row.identifiers.get(self.identifier.kind, ())
            )
        )


def passing(settings: Settings, ready: Callable[[], None]) -> Iterator[TouchpointRow]:
    """Yield touches that arrive from now on, in their order within a partition; without end.

    `ready` is called once no new touch can be missed. Follows a rebuild to its topics. Raises
    `KafkaNotReady` if Kafka does not answer or `setup` never ran.
    """
    namespace, looked = present_generation(settings).namespace, time.monotonic()
    consumer: Any = KafkaConsumer(**blocking(settings.kafka), enable_auto_commit=False)
    try:
        _begin(consumer, namespace)
        ready()
        while True:
            for records in consumer.poll(_POLL_MS).values():
                for record in records:
                    # Unreadable records are left to the stages, which set them aside.
                    with contextlib.suppress(msgspec.DecodeError):
                        yield touchpoint_row.decode(record.value)
            if time.monotonic() - looked > _LOOK_S:
                now, looked = present_generation(settings).namespace, time.monotonic()
                if now != namespace:
                    namespace = now
                    _begin(consumer, namespace)
    finally:
        consumer.close()


def _begin(consumer: Any, namespace: str) -> None:
    topic = full_name(namespace, TOUCHPOINTS.name)
    partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)  # only now it is decided where the end was


def document(row: TouchpointRow, *, personal: bool) -> dict[str, Any]:
    """Return a touch for a program; without `personal`, mask the customer's data."""
    columns = {name: getattr(row, name) for name in row.__struct_fields__}
    if personal:
        return columns
    return columns | {
        "event_id": masked(row.event_id),
        "lead_value": masked(row.lead_value),
        "identifiers": {k: [masked(v) for v in values] for k, values in row.identifiers.items()},
        "traits": dict.fromkeys(row.traits, "…"),
        "subject": masked(row.subject),
        "url": row.url.partition("?")[0].partition("#")[0],
        "properties": "…" if row.properties != "{}" else "{}",
    }


def line(row: TouchpointRow, *, personal: bool) -> str:
    """Return a touch for a person, on one line."""
    shown = document(row, personal=personal)
    parts = [row.occurred_at, f"{row.source}  {row.channel} {row.type}"]
    parts += [f"{kind} {', '.join(values)}" for kind, values in shown["identifiers"].items()]
    parts += _named("traits", shown["traits"], personal=personal)
    parts += [f"consent {name}: {'yes' if yes else 'no'}" for name, yes in row.consent.items()]
    if row.value_amount is not None:
        parts.append(f"{row.value_amount} {row.value_currency}".rstrip())
    parts += [shown[name] for name in ("campaign_name", "outcome", "subject", "url") if shown[name]]
    return "  ".join(parts)


def _named(what: str, values: Mapping[str, Any], *, personal: bool) -> Iterator[str]:
    if values:
        told = [f"{name}={value}" if personal else name for name, value in values.items()]
        yield f"{what} {', '.join(told)}"


def masked(value: str) -> str:
    """Mask a value: enough remains to tell two apart in a test, not to identify a customer."""
    if not value:
        return ""
    return f"{value[:_SHOWN]}…" if len(value) >= _LONG else "…"

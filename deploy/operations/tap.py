"""Touches as they pass: what the gateway accepts, read from Kafka beside everybody else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from deploy.config.settings import Settings
from deploy.kafka.clients import blocking
from deploy.kafka.control import present
from schemas import touchpoint_row
from schemas.identifiers import Identifier
from schemas.topics import TOUCHPOINTS, full_name
from schemas.touchpoint_row import TouchpointRow

_POLL_MS = 250
#: How often it is looked whether another generation of topics is present.
_LOOK_S = 5.0
#: So much of a masked value is shown where it is much longer.
_SHOWN = 2
_LONG = 6


class Wanted(NamedTuple):
    """Which touches are shown; '' and None stand for any."""

    source: str = ""
    channel: str = ""
    type: str = ""
    identifier: Identifier | None = None

    def matches(self, row: TouchpointRow) -> bool:
        """Whether this touch is one of them."""
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
    """Touches that come in from now on, in their order within a partition; without end.

    `ready` is called when none that comes is missed any more. Follows a rebuild to its topics.
    Raises `KafkaNotReady` if Kafka does not answer or `setup` never ran.
    """
    namespace, looked = present(settings).namespace, time.monotonic()
    consumer: Any = KafkaConsumer(**blocking(settings.kafka), enable_auto_commit=False)
    try:
        _begin(consumer, namespace)
        ready()
        while True:
            for records in consumer.poll(_POLL_MS).values():
                for record in records:
                    # What cannot be read is for the stages to set aside.
                    with contextlib.suppress(msgspec.DecodeError):
                        yield touchpoint_row.decode(record.value)
            if time.monotonic() - looked > _LOOK_S:
                now, looked = present(settings).namespace, time.monotonic()
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
    """A touch for a program; without `personal` what tells of the customer is masked."""
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
    """A touch for a person, on one line."""
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
    """Enough of a value to tell two from each other in a test, not to know whose it is."""
    if not value:
        return ""
    return f"{value[:_SHOWN]}…" if len(value) >= _LONG else "…"

"""A peer: Quix Streams, one process, RocksDB state with changelog topics.

    python -m benchmarks.quix BOOTSTRAP GROUP PREFIX STATE

It runs in an environment of its own (`benchmarks.contenders` makes it), with nothing of ours but
`benchmarks.job`. The state of a customer is stored as bytes, an event id as a key of its own; a
key that is changed several times before a commit is written once, as Quix Streams does by itself.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from quixstreams import Application, State
from quixstreams.models import Serializer, TopicConfig

from benchmarks import job

PARTITIONS = 4


class Out(NamedTuple):
    """A record to publish: to 0 profiles, 1 changes of segments, 2 dead letters."""

    where: int
    value: bytes


class ValueOfOut(Serializer):  # type: ignore[misc]
    """The bytes of an output, which are encoded already."""

    def __call__(self, value: Out, ctx: object) -> bytes:
        return value.value


def process(value: bytes, state: State[Any, Any]) -> list[Out]:
    """Process one event; return the records to publish. The state is that of the record's key."""
    try:
        event = job.read(value)
    except job.MalformedEvent:
        return [Out(2, value)]
    seen = f"{event.source} {event.event_id}"
    if state.get_bytes(seen) is not None:
        return []
    state.set_bytes(seen, b"1")
    changed = job.change(state.get_bytes("profile"), event)
    state.set_bytes("profile", changed.state)
    return [Out(0, changed.row), *(Out(1, change) for change in changed.segments)]


def application(servers: str, group: str, prefix: str, state: str) -> Application:
    """Return the application, ready to run."""
    app = Application(
        broker_address=servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=state,
        commit_interval=1.0,
        producer_extra_config={
            "acks": "all",
            "linger.ms": 50,
            "compression.type": "snappy",
            "batch.size": 500_000,
        },
        loglevel="WARNING",
    )
    config = TopicConfig(num_partitions=PARTITIONS, replication_factor=1)

    def topic(name: str, **serializers: Any) -> Any:
        return app.topic(f"{prefix}.{name}", config=config, **serializers)

    touchpoints = topic("touchpoints", key_deserializer="bytes", value_deserializer="bytes")
    profiles, changes, dead = (
        topic(name, key_serializer="bytes", value_serializer=ValueOfOut())
        for name in ("profiles", "changes", "dead")
    )
    outputs = (profiles, changes, dead)
    frame = app.dataframe(touchpoints).apply(process, stateful=True, expand=True)
    frame.to_topic(lambda out, *_: outputs[out.where])
    return app


if __name__ == "__main__":
    application(*sys.argv[1:5]).run()

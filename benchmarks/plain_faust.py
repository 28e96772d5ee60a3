"""A peer: Faust as its documentation shows it, one process, RocksDB tables with changelogs.

    python -m benchmarks.plain_faust BOOTSTRAP ID DATA worker

One agent, one event at a time, a table for the customers and one for the ids that were seen. The
state of a customer is stored as bytes; publishing does not wait for the broker's answer.
"""

from __future__ import annotations

import sys

import faust

from benchmarks import job

PARTITIONS = 4


def application(servers: str, name: str, data: str) -> faust.App:
    """Return the application, ready for `main`; `name` is its group and its topics' prefix."""
    app = faust.App(
        name,
        broker=f"aiokafka://{servers}",
        store="rocksdb://",
        datadir=data,
        topic_partitions=PARTITIONS,
        table_standby_replicas=0,
        broker_commit_interval=1.0,
        broker_max_poll_records=4000,
        producer_acks=-1,
        producer_linger=0.05,
        producer_max_batch_size=500_000,
        producer_compression_type="snappy",
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )

    def topic(suffix: str) -> faust.TopicT:
        raw = {"key_serializer": "raw", "value_serializer": "raw"}
        return app.topic(
            f"{name}.{suffix}", key_type=bytes, value_type=bytes, partitions=PARTITIONS, **raw
        )

    def table(suffix: str) -> faust.Table:
        return app.Table(suffix, key_type=bytes, value_type=bytes, partitions=PARTITIONS)

    touchpoints, profiles, changes, dead = (
        topic(suffix) for suffix in ("touchpoints", "profiles", "changes", "dead")
    )
    seen, states = table("seen"), table("profiles")

    @app.agent(touchpoints)
    async def fold(stream: faust.Stream) -> None:
        async for key, value in stream.items():
            try:
                event = job.read(value)
            except job.MalformedEvent:
                await dead.send(key=key, value=value)
                continue
            name = f"{event.source} {event.event_id}".encode()
            if name in seen:
                continue
            seen[name] = b"1"
            changed = job.change(states.get(key), event)
            states[key] = changed.state
            await profiles.send(key=key, value=changed.row)
            for change in changed.segments:
                await changes.send(key=key, value=change)

    return app


if __name__ == "__main__":
    bootstrap, identity, folder = sys.argv[1:4]
    sys.argv[1:4] = []
    worker = faust.Worker(application(bootstrap, identity, folder), loglevel="WARNING")
    worker.execute_from_commandline()

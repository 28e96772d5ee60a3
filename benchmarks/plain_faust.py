"""The peer: the same profile job as an engineer would write it with Faust's documented API.

One agent, one event at a time, a table for the profiles, one for the counters and one for the ids
that were seen. The fold, the merge and the segments are the very functions that our stages use,
so what differs is the engine. It has the easier job: a profile per lead identifier and no
identity, no trails published, nothing said about which offset a row contains.

    python -m benchmarks.plain_faust BOOTSTRAP DATA SEGMENTS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import faust
import msgspec

from processors import engagement
from processors.fold import Folding
from processors.merge import merge
from processors.segments import load_segments, required_features
from schemas import touchpoint_row, trail
from schemas.features import amount_text
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.times import parse_ms, rfc3339

PARTITIONS = 4
PROFILES = "plain.profiles"
CHANGES = "plain.changes"


def application(servers: str, data: str, segments_folder: str) -> faust.App:
    """The application, ready for `main`."""
    app = faust.App(
        "plain",
        broker=f"aiokafka://{servers}",
        store="rocksdb://",
        datadir=data,
        topic_partitions=PARTITIONS,
        table_standby_replicas=0,
        web_enabled=False,
        topic_disable_leader=True,
    )
    segments = load_segments(Path(segments_folder))
    extra = required_features(segments)
    policy = IdentityPolicy()
    touchpoints = app.topic("touchpoints", key_type=bytes, value_type=bytes, value_serializer="raw")
    profiles = app.topic(PROFILES, value_serializer="raw", partitions=PARTITIONS)
    changes = app.topic(CHANGES, value_serializer="raw", partitions=PARTITIONS)

    def table(name: str) -> faust.Table:
        return app.Table(name, key_type=bytes, value_type=bytes, partitions=PARTITIONS)

    seen, trails, members, counters = (table(n) for n in ("seen", "trails", "members", "counters"))

    @app.agent(touchpoints)
    async def fold(stream: faust.Stream) -> None:
        async for key, value in stream.items():
            row = touchpoint_row.decode(value)
            name = f"{row.source} {row.event_id}".encode()
            if name in seen:
                continue
            seen[name] = b"1"
            at_ms = parse_ms(row.occurred_at)
            folding = Folding(trails.get(key))
            folding.add(row, at_ms, extra)
            packed = trails[key] = folding.pack()
            window = engagement.window(row, at_ms).row_key()
            stored = counters.get(window)
            counter = (
                engagement.Counter()
                if stored is None
                else msgspec.msgpack.decode(stored, type=engagement.Counter)
            )
            counter.add(row)
            counters[window] = engagement.pack(counter)
            merged = merge(
                [Identifier(row.lead_kind, row.lead_value)], [trail.decode(packed)], policy
            )
            now_ms = int(time.time() * 1000)
            present = {s.name for s in segments if s.evaluate(merged.view, now_ms).is_member}
            before = set(filter(None, (members.get(key) or b"").decode().split(",")))
            if present != before:
                members[key] = ",".join(sorted(present)).encode()
                for changed in present ^ before:
                    await changes.send(key=key, value=changed.encode())
            await profiles.send(
                key=key,
                value=msgspec.json.encode(
                    {
                        "profile_id": key.decode(),
                        "traits": merged.view.traits,
                        "first_seen_at": rfc3339(merged.first_ms),
                        "last_seen_at": rfc3339(merged.last_ms),
                        "touchpoints": merged.touches,
                        "channels": merged.channels,
                        "orders": merged.orders,
                        "revenue": {c: amount_text(a) for c, a in merged.revenue.items()},
                        "engagement_points": merged.points,
                        "segments": sorted(present),
                    }
                ),
            )

    return app


if __name__ == "__main__":
    bootstrap, folder, definitions = sys.argv[1:4]
    worker = faust.Worker(application(bootstrap, folder, definitions), loglevel="ERROR")
    worker.execute_from_commandline()

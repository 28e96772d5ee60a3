"""The sink's way into ClickHouse's engine: bytes of rows, in batches as the sink makes them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.stages import Timing
from benchmarks.workload import Event, batches
from sinks.clickhouse import ClickHouse, ClickHouseConfig
from sinks.migrate import migrate
from sinks.tables import TOUCHPOINTS, databases
from tests.fixtures_clickhouse import LocalClickHouse

BATCH = 20_000


def measure(events: Sequence[Event]) -> Timing:
    """Wall time of inserting the events through HTTP into a fresh database."""
    database, table = databases("").storage, TOUCHPOINTS.name
    with tempfile.TemporaryDirectory(prefix="touchline-bench-sink-") as folder:
        server = LocalClickHouse(Path(folder)).start()
        try:
            store = ClickHouse(ClickHouseConfig(server.url))
            migrate(store, "")
            rows = [event.value for event in events]
            store.insert(database, table, rows[:1000])
            start = time.monotonic()
            for batch in batches(rows, BATCH):
                store.insert(database, table, batch)
            seconds = time.monotonic() - start
            store.close()
        finally:
            server.stop()
    return Timing("sink", len(events), seconds, "wall time, ClickHouse included")

"""A rebuild: the stored touchpoints through all stages again, into an epoch of its own.

After the broker lost what it held (the embedded one does whenever it stops) or a changed policy.
The views show the new epoch only once it is complete.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from deploy.lag import BrokerLags, Lags, drain
from deploy.local.backlog import HIGH, fill
from deploy.settings import Settings
from deploy.stages import readers
from deploy.wiring import clickhouse, kafka_connection
from ingest.batch_publisher import BatchPublisher
from ingest.publisher import Message
from schemas import touchpoint_row
from schemas.times import parse_ms
from schemas.topics import TOUCHPOINTS, TRAILS, full_name
from sinks.clickhouse import ClickHouse
from sinks.epochs import Epochs
from sinks.tables import databases, quoted

_PAGE = 20_000
#: Sent, and waited for, at once.
_SLICE = 4_000
_DRAIN_TIMEOUT = 3_600.0


def run(settings: Settings, epoch: int, say: Callable[[str], None]) -> int:
    """Publish all stored touchpoints, wait until they are processed, show the epoch.

    Returns how many there were. Nothing else may write to the topic meanwhile. Raises
    `sinks.clickhouse.ClickHouseError` and `ingest.publisher.NotAcknowledged`.
    """
    store = clickhouse(settings)
    with contextlib.closing(store), contextlib.closing(_lags(settings)) as lags:
        total = _count(store, settings.namespace)
        if total:
            say(f"processing {total:,} stored touchpoints again")
            _publish(settings, _pages(store, settings.namespace), lags)
        if not drain(lags, _DRAIN_TIMEOUT):
            raise TimeoutError(f"the rebuild did not end within {_DRAIN_TIMEOUT:.0f} s")
        epochs = Epochs(store, settings.namespace)
        epochs.activate(epoch, datetime.now(UTC))
        epochs.drop_superseded()
        return total


def _lags(settings: Settings) -> BrokerLags:
    return BrokerLags(settings.kafka, readers(settings))


def _count(store: ClickHouse, namespace: str) -> int:
    sql = f"SELECT count() AS n FROM {_table(namespace)} FINAL"  # noqa: S608 - a quoted name
    return int(store.rows(sql)[0]["n"])


def _pages(store: ClickHouse, namespace: str) -> Iterator[list[Message]]:
    """All stored touchpoints in the order of their receipt, a page at a time."""
    columns = ", ".join(touchpoint_row.TouchpointRow.__struct_fields__)
    after = {"received_at": "1970-01-01 00:00:00.000", "source": "", "event_id": "", "lead": ""}
    sql = (
        f"SELECT {columns} FROM {_table(namespace)} FINAL "  # noqa: S608 - our own names
        "WHERE (received_at, source, event_id, toString(lead_id)) > "
        "({received_at:DateTime64(3, 'UTC')}, {source:String}, {event_id:String}, {lead:String}) "
        f"ORDER BY received_at, source, event_id, toString(lead_id) LIMIT {_PAGE}"
    )
    while rows := store.rows(sql, after):
        last = rows[-1]
        after = {name: last[name] for name in ("received_at", "source", "event_id")}
        after["lead"] = last["lead_id"]
        yield [_touch(row) for row in rows]


def _touch(row: dict[str, Any]) -> Message:
    for name in ("occurred_at", "received_at"):
        row[name] = row[name].replace(" ", "T") + "Z"
    value = touchpoint_row.encode(msgspec.convert(row, touchpoint_row.TouchpointRow))
    received_ms = parse_ms(row["received_at"])
    return Message(TOUCHPOINTS.name, row["lead_id"].encode(), value, received_ms)


def _table(namespace: str) -> str:
    return f"{quoted(databases(namespace).storage)}.touchpoints"


def _publish(settings: Settings, pages: Iterator[Sequence[Message]], lags: Lags) -> None:
    source, between = (full_name(settings.namespace, t.name) for t in (TOUCHPOINTS, TRAILS))
    with BatchPublisher(kafka_connection(settings), client_id="touchline-rebuild") as publisher:
        for page in pages:
            for start in range(0, len(page), _SLICE):
                publisher.publish(page[start : start + _SLICE])
                if settings.kafka.embedded:
                    _until_room(lags, source, between)


def _until_room(lags: Lags, source: str, between: str) -> None:
    while fill(lags.read(), source, between) > HIGH:
        time.sleep(0.1)

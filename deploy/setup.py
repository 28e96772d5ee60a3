"""`touchline setup`: topics, tables and the epoch. Safe to run again at any time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from deploy.epoch import announce
from deploy.settings import Settings
from deploy.stages import all_changelogs
from deploy.topics_admin import Outcome, connect, ensure, wanted
from deploy.wiring import clickhouse
from sinks.clickhouse import ClickHouse, Unreachable
from sinks.epochs import Epoch, Epochs
from sinks.migrate import migrate

_log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """What `setup` did, or with `dry_run` would do. `epoch` is None in a dry run."""

    topics: Outcome
    migrations: list[str] = field(default_factory=list)
    epoch: Epoch | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def set_up(
    settings: Settings, *, dry_run: bool = False, new_epoch: bool = False, timeout: float = 60.0
) -> Report:
    """Create topics, migrate ClickHouse, tell the workers the epoch.

    Waits for Kafka and ClickHouse at most `timeout` seconds each. `new_epoch` begins one even if
    the cluster is the same as before. Raises `KafkaNotReady`, `sinks.migrate.MigrationError` or
    `sinks.clickhouse.ClickHouseError`.
    """
    cluster = connect(settings.kafka, timeout)
    try:
        topics = wanted(settings.kafka, settings.namespace, all_changelogs(settings))
        outcome = ensure(cluster, topics, dry_run=dry_run)
        cluster_id = cluster.cluster_id()
    finally:
        cluster.close()
    store = clickhouse(settings)
    try:
        migrations = _once_reachable(
            lambda: migrate(store, settings.namespace, dry_run=dry_run), timeout
        )
        names = [f"{migration.number:04d}_{migration.name}" for migration in migrations]
        if dry_run:
            return Report(outcome, names)
        epoch = _epoch(store, settings.namespace, cluster_id, new_epoch=new_epoch)
    finally:
        store.close()
    announce(settings.kafka, settings.namespace, epoch.number, cluster_id)
    return Report(outcome, names, epoch)


def _epoch(store: ClickHouse, namespace: str, cluster_id: str, *, new_epoch: bool) -> Epoch:
    epochs = Epochs(store, namespace)
    now = datetime.now(UTC)
    return epochs.begin(cluster_id, now) if new_epoch else epochs.ensure(cluster_id, now)


def _once_reachable(action: Callable[[], T], timeout: float) -> T:
    """The action's result, tried again while nobody answers."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return action()
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise
            _log.warning("clickhouse_unreachable", detail=str(error))
            time.sleep(1.0)

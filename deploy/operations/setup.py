"""`touchline setup`: topics, tables and the epoch. Safe to run again at any time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from deploy.config.identity_policy import serialize_policy
from deploy.config.settings import Settings
from deploy.kafka.control import Generation, announce, read_generation
from deploy.kafka.topics import Cluster, Outcome, connect, ensure
from deploy.kafka.topology import generation_topics, lasting_topics, partitions_of
from deploy.runtime.factories.clickhouse import clickhouse_client
from schemas.topics import TOUCHPOINTS, full_name
from sinks.clickhouse.client import ClickHouse, Unreachable
from sinks.clickhouse.epochs import Epoch, Epochs
from sinks.clickhouse.migrate import migrate

_log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `setup`, or with `dry_run` of its dry run. `epoch` is None in a dry run."""

    topics: Outcome
    migrations: list[str] = field(default_factory=list)
    epoch: Epoch | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the document for `--json`."""
        return asdict(self)


def set_up(
    settings: Settings, *, dry_run: bool = False, new_epoch: bool = False, timeout: float = 60.0
) -> Report:
    """Create topics, migrate ClickHouse, announce the epoch to the workers.

    Waits for Kafka and ClickHouse at most `timeout` seconds each. `new_epoch` begins an epoch even
    if the cluster is the same as before. Raises `KafkaNotReady`, `MigrationError` or
    `ClickHouseError`.
    """
    cluster = connect(settings.kafka, timeout)
    try:
        cluster_id = cluster.cluster_id()
        known = None if new_epoch else read_generation(settings.kafka, settings.namespace)
        # Topics of an earlier lifetime of the broker are gone with it.
        known = known if known is not None and known.cluster_id == cluster_id else None
        outcome = _topics(cluster, settings, known, dry_run=dry_run)
    finally:
        cluster.close()
    store = clickhouse_client(settings)
    try:
        migrations = _once_reachable(
            lambda: migrate(store, settings.namespace, dry_run=dry_run), timeout
        )
        names = [f"{migration.number:04d}_{migration.name}" for migration in migrations]
        if dry_run:
            return Report(outcome, names)
        epoch = _epoch(store, settings, cluster_id, known, new_epoch=new_epoch)
    finally:
        store.close()
    present = _present(settings, epoch, known)
    if present != known:
        announce(settings.kafka, settings.namespace, present)
    return Report(outcome, names, epoch)


def _topics(
    cluster: Cluster, settings: Settings, known: Generation | None, *, dry_run: bool
) -> Outcome:
    """Create the topics of the present generation, whose number of partitions is unchanged."""
    namespace, partitions = (
        (known.namespace, partitions_of(settings, known)) if known else (settings.namespace, 0)
    )
    topics = [*lasting_topics(settings), *generation_topics(settings, namespace, partitions)]
    outcome = ensure(cluster, topics, dry_run=dry_run)
    return replace(outcome, differing=[*outcome.differing, *repartitioned(settings, known)])


def repartitioned(settings: Settings, known: Generation | None) -> list[str]:
    """Report that the configured number of partitions differs from that of the present epoch."""
    if known is None or partitions_of(settings, known) == settings.topic_partitions:
        return []
    return [
        f"topic {full_name(known.namespace, TOUCHPOINTS.name)} has {known.partitions} partitions, "
        f"but {settings.topic_partitions} are configured: touchline rebuild makes new topics with "
        "that number"
    ]


def _epoch(
    store: ClickHouse,
    settings: Settings,
    cluster_id: str,
    known: Generation | None,
    *,
    new_epoch: bool,
) -> Epoch:
    """Return the present epoch; the newest may be one that a rebuild has not completed."""
    epochs = Epochs(store, settings.namespace)
    if known is not None and (epoch := epochs.of(known.epoch)) is not None:
        return epoch
    now, policy = datetime.now(UTC), serialize_policy(settings.identity.policy())
    if new_epoch:
        return epochs.begin(cluster_id, now, policy)
    return epochs.ensure(cluster_id, now, policy)


def _present(settings: Settings, epoch: Epoch, known: Generation | None) -> Generation:
    """Return the record for the processes; complete a record of an older version."""
    policy = epoch.policy or serialize_policy(settings.identity.policy())
    if known is not None and known.epoch == epoch.number:
        return replace(
            known,
            partitions=partitions_of(settings, known),
            policy=known.policy or policy,
        )
    namespace = known.namespace if known else settings.namespace
    partitions = partitions_of(settings, known) if known else settings.topic_partitions
    return Generation(epoch.number, epoch.cluster_id, namespace, partitions, policy)


def _once_reachable(action: Callable[[], T], timeout: float) -> T:
    """Return the action's result; retry it while ClickHouse is unreachable."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return action()
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise
            _log.warning("clickhouse_unreachable", detail=str(error))
            time.sleep(1.0)

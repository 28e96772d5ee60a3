"""A rebuild: all derived data recomputed from the stored data into a new epoch.

It runs beside the running system after a change of the policy, of the features that segments need
or of the number of partitions. It runs in place if the present epoch is empty, because the broker
is new or (the embedded one) loses everything when it stops. The views show the new epoch only once
it is complete.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kafka.errors import KafkaError

from deploy.config.identity_policy import differences, parse_policy
from deploy.config.settings import Configuration, Settings
from deploy.kafka.control import Generation, present_generation, read_control
from deploy.kafka.operator_publisher import OperatorPublisher
from deploy.kafka.topics import KafkaNotReady, connect
from deploy.operations.rebuild import parallel_build
from deploy.operations.rebuild.cleanup import obsolete, ordered_table
from deploy.operations.rebuild.context import CLIENT_ID, RebuildContext, RebuildError
from deploy.operations.rebuild.history import Counts, History
from deploy.operations.rebuild.progress import GenerationProgress, Say
from deploy.operations.rebuild.replay import (
    HistoryReplay,
    restore_retention,
    suspend_retention,
)
from deploy.operations.rebuild.switch import switch
from deploy.operations.setup import set_up
from deploy.runtime.factories.clickhouse import clickhouse_config
from schemas.topics import LINK_REQUESTS, TOUCHPOINTS
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.epochs import Epochs

#: Measured with worker, sink, broker and ClickHouse together on two cores (`benchmarks.rebuild`).
TOUCHES_PER_SECOND, LINKS_PER_SECOND = 4_000, 2_000
_STATEMENT_S = 3_600


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """The plan of a rebuild."""

    present: Generation
    #: One of: finish (a switch that was interrupted), in place, beside.
    way: str
    counts: Counts
    partitions: int
    #: Settings of the policy that differ from those of the present epoch.
    changes: list[str]
    #: The reason for which it would be refused; '' if it would not.
    refused: str

    @property
    def seconds(self) -> float:
        """Estimated duration."""
        counts = self.counts
        return counts.touches / TOUCHES_PER_SECOND + counts.links / LINKS_PER_SECOND


def plan(configuration: Configuration) -> RebuildPlan:
    """Return the plan of a rebuild now. Raises as `rebuild` does."""
    with _open(configuration, lambda _: None) as context:
        present = present_generation(context.settings)
        shown = context.epochs.shown()
        number = present.epoch if shown is None else shown.number
        configured = context.settings.identity.policy()
        changed = differences(parse_policy(present.policy, configured), configured)
        return RebuildPlan(
            present,
            _way(context, present),
            History(context.store, context.settings.namespace, number).counts(),
            context.settings.topic_partitions,
            [f"{'.'.join(map(str, place))}: {text}" for place, text in changed],
            parallel_build.refused_order(context) or "",
        )


def rebuild(configuration: Configuration, say: Say) -> bool:
    """Rebuild, show the new epoch; return True if the deployment's processes have switched to it.

    Raises `RebuildError`, `KafkaNotReady`, `ClickHouseError`
    and `NotAcknowledged`. If interrupted before the switch, nothing has changed;
    if interrupted later, a further call continues.
    """
    set_up(configuration.settings)
    with _open(configuration, say) as context, context:
        own = present_generation(context.settings)
        way = _way(context, own)
        if way == "in place":
            touches = finish(context.settings, own, say)
            say(f"epoch {own.epoch} is shown: {touches:,} touchpoints processed")
            return True
        if way == "finish":
            say(f"going on with the switch to epoch {own.epoch}")
            context.work_on(own)
        else:
            own, touches = parallel_build.build(context, own)
            say(f"epoch {own.epoch} is built: {touches:,} stored touchpoints processed")
        try:
            switch(context, own)
        except BaseException:
            say("the switch is not complete: touchline rebuild goes on with it")
            raise
        return context.members(own, 2)


def complete(settings: Settings, say: Say) -> None:
    """Fill the present epoch from the stored data, unless it already has records."""
    present = present_generation(settings)
    if settings.kafka.embedded or is_empty(settings, present):
        finish(settings, present, say)
    else:
        say(f"epoch {present.epoch} is not complete: run touchline rebuild")


def finish(settings: Settings, present: Generation, say: Say) -> int:
    """Fill the present epoch, which is empty, and show it; return the number of touches.

    Its worker and sink must run, and nothing else may write to its topics meanwhile.
    """
    with (
        _kafka_explained(settings),
        contextlib.closing(_patient(settings)) as store,
        _kept(settings, present),
        OperatorPublisher(settings.kafka, present.namespace, CLIENT_ID) as publisher,
    ):
        epochs = Epochs(store, settings.namespace)
        shown = epochs.shown()
        history = History(store, settings.namespace, shown.number if shown else 0)
        progress = GenerationProgress(settings, present.namespace, say)
        replay = HistoryReplay(progress, publisher)
        replay.links(history)
        touches = replay.touches(history, ordered_table(present.epoch))
        progress.wait_until_drained()
        epochs.activate(present.epoch, datetime.now(UTC))
        epochs.drop_superseded()
    return touches


@contextlib.contextmanager
def _kept(settings: Settings, present: Generation) -> Iterator[None]:
    if settings.kafka.embedded:  # which keeps by size alone
        yield
        return
    with contextlib.closing(connect(settings.kafka)) as cluster:
        suspend_retention(cluster, present.namespace)
        yield
        restore_retention(cluster, present.namespace)


def is_empty(settings: Settings, present: Generation) -> bool:
    """Return True if nothing was ever published for an epoch.

    An interrupted replay must not continue in place: the records already published would count
    twice.
    """
    progress = GenerationProgress(settings, present.namespace, lambda _: None)
    return not any(
        any(progress.end_offsets(topic.name).values()) for topic in (LINK_REQUESTS, TOUCHPOINTS)
    )


def former_topics(configuration: Configuration, *, delete: bool) -> list[str]:
    """Return the topics on which no process works any more; with `delete`, delete them."""
    settings = configuration.settings
    with _kafka_explained(settings), contextlib.closing(connect(settings.kafka)) as cluster:
        control = read_control(settings.kafka, settings.namespace)
        found = obsolete(settings, cluster, control)
        if delete:
            cluster.delete(found)
    return found


def _way(context: RebuildContext, present: Generation) -> str:
    shown = context.epochs.shown()
    if shown is not None and shown.number < present.epoch:
        if present.before is not None:
            return "finish"
        if context.settings.kafka.embedded or is_empty(context.settings, present):
            return "in place"
    elif context.settings.kafka.embedded:
        raise RebuildError(
            "the embedded Kafka cannot hold a second epoch; touchline up makes a new one whenever "
            "it starts"
        )
    return "beside"


@contextlib.contextmanager
def _open(configuration: Configuration, say: Say) -> Iterator[RebuildContext]:
    settings = configuration.settings
    with (
        _kafka_explained(settings),
        contextlib.closing(_patient(settings)) as store,
        contextlib.closing(connect(settings.kafka)) as cluster,
    ):
        yield RebuildContext(configuration, store, cluster, say)


def _patient(settings: Settings) -> ClickHouse:
    """Return a connection with a long timeout, for statements that read whole tables."""
    return ClickHouse(replace(clickhouse_config(settings), timeout_s=_STATEMENT_S))


@contextlib.contextmanager
def _kafka_explained(settings: Settings) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise KafkaNotReady(
            f"Kafka at {settings.kafka.bootstrap_servers} did not answer: {type(error).__name__}"
        ) from error

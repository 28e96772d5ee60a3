"""The switch from one generation to the next, without losing or refusing a touch.

The steps, in this order; if they are interrupted, `touchline rebuild` continues where they stopped:
1. `control` names the new epoch as the present one. Gateways change over at once; workers and
   sinks of the former one end and restart on the new topics.
2. Records that still arrive on the former topics are copied until no more arrive.
3. The broker is configured to refuse records there. A gateway that has not changed over by now
   answers 503 until it has, so the records accepted until then are all there are.
4. The rest is copied and processed, and then the views show the new epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from kafka import KafkaProducer
from kafka.errors import KafkaError

from deploy.config.sections import KafkaSettings
from deploy.kafka.clients import blocking
from deploy.kafka.control import NEXT, Generation, announce, read_generation
from deploy.kafka.topics import Cluster, KafkaNotReady
from deploy.operations.rebuild.context import RebuildContext, Tools
from deploy.operations.rebuild.live_copy import PROBE, LiveCopy, Offsets
from deploy.operations.rebuild.replay import restore_retention
from ingest.publishing.port import WRITTEN
from schemas.topics import LINK_REQUESTS, REJECTED, TOUCHPOINTS, VIOLATIONS, full_name

#: Seconds without new records after which all gateways, which hear of a change at once, count as
#: having changed over.
QUIET_S = 5.0
#: Seconds after which the topics are closed even if a gateway that did not hear still writes.
LONGEST_S = 60.0
_LOOK_S = 0.2
_ATTEMPTS = 100


def switch(context: RebuildContext, own: Generation) -> None:
    """Make an epoch, built up to the newest record, the present one, and show it."""
    settings = context.settings
    before = own.before or settings.namespace
    former = context.progress(Generation(0, own.cluster_id, before))
    _announce(context, own)
    with context.tools(own) as tools:

        def a_round() -> None:
            copy_round(tools, former.processed_offsets(TOUCHPOINTS.name), context.beat)

        if not _until_quiet(tools.copy, a_round):
            context.say(
                "a gateway goes on writing to the former topics; it answers 503 from now on"
            )
        close_topics(context.cluster, settings.kafka, before)
        copy_round(tools, tools.copy.ends(TOUCHPOINTS.name), context.beat)
        for topic in (REJECTED, VIOLATIONS):
            tools.copy.copy(topic.name, tools.copy.ends(topic.name), context.beat)
        tools.progress.wait_until_drained()
    context.epochs.activate(own.epoch, datetime.now(UTC))
    context.say(f"the views show epoch {own.epoch}")
    context.epochs.drop_superseded()
    restore_retention(context.cluster, own.namespace)


def copy_round(tools: Tools, touches: Offsets, beat: Callable[[], None]) -> None:
    """Copy the present links, wait for the answers, copy touches up to these offsets."""
    if tools.copy.copy(LINK_REQUESTS.name, tools.copy.ends(LINK_REQUESTS.name), beat):
        tools.progress.wait_until_answered()
    tools.copy.copy(TOUCHPOINTS.name, touches, beat)


def _announce(context: RebuildContext, own: Generation) -> None:
    kafka, namespace = context.settings.kafka, context.settings.namespace
    present = read_generation(kafka, namespace)
    if present is None or present.epoch != own.epoch:
        announce(kafka, namespace, own)
        context.say(f"switching to epoch {own.epoch}")
    announce(kafka, namespace, None, NEXT)


def _until_quiet(copy: LiveCopy, a_round: Callable[[], None]) -> bool:
    """Copy until the gateways write to other topics; return False if one still did at the end."""
    began = changed = time.monotonic()
    ends = [copy.ends(topic.name) for topic in WRITTEN]
    while time.monotonic() - changed < QUIET_S:
        if time.monotonic() - began > LONGEST_S:
            return False
        a_round()
        now = [copy.ends(topic.name) for topic in WRITTEN]
        if now != ends:
            ends, changed = now, time.monotonic()
        time.sleep(_LOOK_S)
    return True


def close_topics(cluster: Cluster, kafka: KafkaSettings, namespace: str) -> None:
    """Have the broker refuse all records sent to the topics of the gateways from now on.

    Returns when every partition refuses. Raises `KafkaNotReady` if one continues to accept.
    """
    names = [full_name(namespace, topic.name) for topic in WRITTEN]
    cluster.configure(names, {"max.message.bytes": "0"})
    producer = KafkaProducer(**blocking(kafka), acks=1, enable_idempotence=False)
    try:
        for name in names:
            for partition in sorted(producer.partitions_for(name)):
                _until_refused(producer, name, partition)
    finally:
        producer.close(timeout=5)


def _until_refused(producer: KafkaProducer, name: str, partition: int) -> None:
    # The setting reaches the brokers a moment after it was acknowledged.
    for _ in range(_ATTEMPTS):
        try:
            producer.send(name, b"", PROBE, partition=partition).get(timeout=10)
        except KafkaError:
            return
        time.sleep(_LOOK_S)
    raise KafkaNotReady(f"Kafka goes on accepting records for {name}")

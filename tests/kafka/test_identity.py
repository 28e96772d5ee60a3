"""The stories of identity on a real broker with two workers, all told at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from deploy.kafka_clients import blocking
from deploy.local.kafka import LocalKafka
from deploy.settings import load
from processors.segments import load_segments
from schemas import messages, topics
from schemas.identifiers import IdentityPolicy, identifier_id
from schemas.messages import SplitCommand
from tests.fixtures_clickhouse import LocalClickHouse
from tests.kafka.system import System, until
from tests.kafka.touches import of_pipeline, shown
from tests.pipeline import Pipeline
from tests.properties.profile_reference import DEFINITIONS
from tests.scenarios.stories import STORIES
from tests.scenarios.story import Command, Phase, Story, identifier

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def told_here() -> list[Story]:
    """The stories under the default policy, each of other people."""
    plain = [s for s in STORIES if s.policy == IdentityPolicy() and not s.untrusted]
    return [story.told_of(number) for number, story in enumerate(plain)]


def phases(stories: Iterable[Story]) -> Iterator[Phase]:
    """The first phases of all stories, then their second ones, and so on."""
    each = [story.touches(f"{number}-") for number, story in enumerate(stories)]
    for together in zip_longest(*each, fillvalue=[]):
        yield [step for phase in together for step in phase]


def test_the_stories_end_with_two_workers_as_they_do_in_memory(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    servers = kafka_broker.bootstrap_servers
    folder = tmp_path / "system"
    with System(folder, servers, clickhouse, namespace, DEFINITIONS) as system:
        system.setup()
        workers = [system.worker("worker-1"), system.worker("worker-2")]
        sink = system.sink()
        system.gateway()
        system.ready(*workers, sink)
        pipeline = Pipeline(segments=load_segments(folder / "segments"))
        for phase in phases(told_here()):
            tell(system, phase)
            tell_in_memory(pipeline, phase)
            system.drained()
        until(lambda: not differences(system, pipeline), 30, 0.5, differences_of(system, pipeline))
        for worker in workers:
            assert worker.count("processed_events_total", "trails") > 0, worker.name
        system.end()


def tell(system: System, phase: Phase) -> None:
    """Send a phase: touches through the gateway, commands into the log of links."""
    batches: dict[str, list[dict[str, Any]]] = {}
    for step in phase:
        if not isinstance(step, Command):
            source, touch = step
            sent = touch.model_dump(mode="json", exclude_unset=True)
            batches.setdefault(source, []).append(sent)
    system.send(list(batches.items()))
    settings = load(system.file).settings
    topic = topics.full_name(system.namespace, topics.LINKS.name)
    with contextlib.closing(KafkaProducer(**blocking(settings.kafka))) as producer:
        for number, step in enumerate(phase):
            if isinstance(step, Command):
                one = identifier(step.what)
                lead = identifier(step.lead) if step.lead else ("", "")
                command = SplitCommand(
                    f"00000000-0000-4000-8000-{number:012d}", step.lift, now_ms(), *one, *lead,
                    step.source,
                )  # fmt: skip
                producer.send(
                    topic, messages.encode(command), identifier_id(*one).encode(), partition=0
                ).get(30)


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def tell_in_memory(pipeline: Pipeline, phase: Phase) -> None:
    """The same phase for the stages in memory."""
    pipeline.now_ms = now_ms()
    for step in phase:
        if isinstance(step, Command):
            step.give(pipeline)
        else:
            source, touch = step
            pipeline.touch(touch, source)
    pipeline.calm()


def differences(system: System, pipeline: Pipeline) -> dict[str, list[Any]]:
    """What the views show otherwise than the stages in memory."""
    wanted, found = of_pipeline(pipeline), shown(system)
    conflicts = system.view("SELECT value, reason, profile_id FROM {bi}.identity_conflicts")
    found["conflicts"] = {(row["value"], row["reason"], row["profile_id"]) for row in conflicts}
    wanted["conflicts"] = {
        (row["value"], row["reason"], row["profile_id"]) for row in pipeline.conflicts().values()
    }
    return {
        name: sorted(items(found[name]) ^ items(value))[:10]
        for name, value in wanted.items()
        if name != "scores" and found[name] != value
    }


def differences_of(system: System, pipeline: Pipeline) -> Any:
    return lambda: differences(system, pipeline)


def items(collection: Any) -> set[str]:
    return set(map(repr, collection.items() if isinstance(collection, dict) else collection))

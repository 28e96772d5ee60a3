"""The stories of identity on a real broker with two workers, all told at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from deploy.config.segments import load_segments
from deploy.config.settings import load
from deploy.local.kafka import LocalKafka
from deploy.operations.identity.graph_commands import KafkaCommands
from schemas.identifiers import IdentityPolicy
from tests.kafka.system_answers import of_pipeline, shown
from tests.support.clickhouse import LocalClickHouse
from tests.support.identity_stories import STORIES
from tests.support.pipeline import Pipeline
from tests.support.profile_reference import DEFINITIONS
from tests.support.story import Command, Phase, Story
from tests.support.system import System
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def told_here() -> list[Story]:
    """The stories under the default policy, each of other people."""
    plain = [story for story in STORIES if story.policy == IdentityPolicy()]
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
        pipeline = Pipeline(segments=load_segments(folder / "segments"), untrusted=["kiosk"])
        for phase in phases(told_here()):
            tell(system, phase)
            tell_in_memory(pipeline, phase)
            system.drained()
        wait_until(
            lambda: not differences(system, pipeline), 30, 0.5, differences_of(system, pipeline)
        )
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
    commands = [
        step.message(str(uuid.uuid4()), now_ms()) for step in phase if isinstance(step, Command)
    ]
    with KafkaCommands(load(system.file).settings, 30) as operator:
        operator.send(commands)


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
    """Return what the views show otherwise than the stages in memory."""
    wanted, found = of_pipeline(pipeline), shown(system)
    links = system.view("SELECT * FROM {bi}.identity_links")
    found["links"] = {
        (row["lead_kind"], row["lead_value"], row["kind"], row["value"]): (
            row["state"],
            row["reason"],
        )
        for row in links
    }
    wanted["links"] = {
        key: (row["verdict"], row["reason"]) for key, row in pipeline.verdicts().items()
    }
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

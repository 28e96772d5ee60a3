"""Faust's own faults: each shown on plain Faust, beside the engine under the same schedule.

A test of plain Faust that fails says that Faust has mended something: then an override may go.
docs/faults.md has the whole table, with the tests that stand elsewhere.
"""

from __future__ import annotations

import base64
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from processors.engine import EXIT_HALTED
from schemas.topics import partition_of
from tests.kafka.counting import rows_changelog
from tests.support.engine_harness import PARTITIONS, Deployment, deployment
from tests.support.engine_worker import KILLED
from tests.support.plain_faust import POISON, SLOW
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

KEY = b"key"
_WITHIN = 60


def events(start: int, stop: int) -> list[tuple[bytes, bytes]]:
    return [(KEY, b"event-%d" % number) for number in range(start, stop)]


async def counted(made: Deployment, count: int) -> None:
    """Wait until the last published count of the one key is this."""

    async def published() -> bool:
        return (await made.counts()).get(KEY) == count

    await until(published, _WITHIN)


async def all_committed(made: Deployment, group: str | None = None) -> None:
    async def committed() -> bool:
        ends = await made.ends("touchpoints")
        return [offset or 0 for offset in await made.committed(group)] == ends

    await until(committed, _WITHIN)


async def published(made: Deployment) -> list[bytes]:
    return [record.value for record in await made.read("profiles")]


def logged_by_plain(made: Deployment) -> str:
    return f"{made.plain_group}-counts-changelog"


# An exception -------------------------------------------------------------------------------------


async def test_plain_faust_skips_the_event_at_which_an_agent_raises(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-raise", tmp_path) as made:
        await made.send([*events(0, 10), (KEY, POISON), *events(10, 20)])
        worker = made.plain("count")
        await counted(made, 20)
        await all_committed(made, made.plain_group)
        # It is nowhere, and nobody will read it again.
        assert await made.ends("touchpoints.rejected") == [0] * PARTITIONS
        assert await worker.stop() == 0


async def test_plain_faust_skips_the_whole_take_in_which_an_agent_raises(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-take", tmp_path) as made:
        await made.send([*events(0, 10), (KEY, POISON), *events(10, 20)])
        made.plain("take")
        await all_committed(made, made.plain_group)
        values = [value for _, value in events(0, 20)]
        missing = set(values) - set(await published(made))
        assert len(missing) > 1


async def test_the_engine_rejects_the_one_event_and_counts_the_rest(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-raise-ours", tmp_path) as made:
        await made.send([*events(0, 10), (KEY, POISON), *events(10, 20)])
        made.start()
        await counted(made, 20)
        await all_committed(made)
        [rejected] = await made.read("touchpoints.rejected")
        assert base64.b64decode(json.loads(rejected.value)["payload_base64"]) == POISON


# A crash between two steps ------------------------------------------------------------------------


async def test_plain_faust_counts_twice_what_was_logged_and_not_committed(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-logged", tmp_path) as made:
        await made.send(events(0, 20))
        worker = made.plain("count", commit_interval=3600, die=["event-19", "flushed"])
        assert await worker.ended(_WITHIN) == KILLED
        shutil.rmtree(tmp_path / "one")
        made.plain("count")
        await counted(made, 40)


@pytest.mark.parametrize("step", ["log", "apply"])
async def test_the_engine_counts_once_what_was_logged_and_not_committed(
    kafka_broker: Any, tmp_path: Path, step: str
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, f"f-{step}-ours", tmp_path) as made:
        await made.send(events(0, 20))
        worker = made.start(die=(step, 1))
        assert await worker.ended(_WITHIN) == KILLED
        if step == "log":
            shutil.rmtree(tmp_path / "one")
        made.start()
        await counted(made, 20)
        await all_committed(made)
        await made.send(events(20, 21))
        await counted(made, 21)


# Commits ------------------------------------------------------------------------------------------


async def test_plain_faust_commits_past_an_event_that_is_not_done(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-past", tmp_path) as made:
        await made.send([(KEY, SLOW), *events(0, 10)])
        worker = made.plain("two")
        await all_committed(made, made.plain_group)
        worker.kill()
        assert SLOW not in await published(made)


async def test_the_engine_commits_nothing_of_a_batch_that_is_not_done(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-past-ours", tmp_path) as made:
        await made.send([(KEY, SLOW), *events(0, 10)])
        held = tmp_path / "held"
        worker = made.start(hold=("apply", 1, str(held)))
        await until(held.exists, _WITHIN)
        worker.kill()
        assert await made.committed() == [None] * PARTITIONS
        made.start()
        await counted(made, 11)


async def taking(made: Deployment, topic: str, yes: bool) -> None:
    """Switch whether Kafka accepts records of this topic or finds them too large."""
    admin = AIOKafkaAdminClient(bootstrap_servers=made.servers)
    await admin.start()
    try:
        change = {"max.message.bytes": "1000000" if yes else "1"}
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, change)
        await admin.alter_configs([resource])
    finally:
        await admin.close()


async def test_plain_faust_commits_what_the_changelog_does_not_have(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-unlogged", tmp_path) as made:
        await made.create_topic(logged_by_plain(made))
        await taking(made, logged_by_plain(made), False)
        await made.send(events(0, 10))
        worker = made.plain("count")
        await counted(made, 10)
        await all_committed(made, made.plain_group)
        worker.kill()
        shutil.rmtree(tmp_path / "one")
        await taking(made, logged_by_plain(made), True)
        await made.send(events(10, 11))
        made.plain("count")
        # Ten events are gone.
        await counted(made, 1)


async def test_the_engine_commits_nothing_before_the_changelog_has_it(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-unlogged-ours", tmp_path) as made:
        await taking(made, rows_changelog(made), False)
        await made.send(events(0, 10))
        worker = made.start()
        assert await worker.ended(_WITHIN) == EXIT_HALTED
        assert await made.committed() == [None] * PARTITIONS
        shutil.rmtree(tmp_path / "one")
        await taking(made, rows_changelog(made), True)
        await made.send(events(10, 11))
        made.start()
        await counted(made, 11)


async def test_plain_faust_commits_what_kafka_has_refused(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-unsent", tmp_path) as made:
        await taking(made, made.topic("profiles"), False)
        await made.send(events(0, 10))
        worker = made.plain("count")
        await all_committed(made, made.plain_group)
        worker.kill()
        await taking(made, made.topic("profiles"), True)
        made.plain("count")
        await made.send(events(10, 11))
        await counted(made, 11)
        assert await published(made) == [b"11"]


async def test_the_engine_publishes_again_what_kafka_has_refused(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-unsent-ours", tmp_path) as made:
        await taking(made, made.topic("profiles"), False)
        await made.send(events(0, 10))
        worker = made.start()
        assert await worker.ended(_WITHIN) == EXIT_HALTED
        assert await made.committed() == [None] * PARTITIONS
        assert await published(made) == []
        await taking(made, made.topic("profiles"), True)
        made.start()
        await counted(made, 10)


# A zombie -----------------------------------------------------------------------------------------


async def test_plain_faust_writes_old_state_over_that_of_a_new_owner(
    kafka_broker: Any, tmp_path: Path
) -> None:
    """The new owner is the test: workers of plain Faust do not always take over in time."""
    async with deployment(kafka_broker.bootstrap_servers, "f-zombie", tmp_path) as made:
        await made.send(events(0, 10))
        held = tmp_path / "held"
        zombie = made.plain("count", hold=["event-10", str(held)])
        await counted(made, 10)
        await made.send(events(10, 11))
        await until(held.exists, _WITHIN)
        producer = AIOKafkaProducer(bootstrap_servers=made.servers)
        await producer.start()
        partition = partition_of(KEY, PARTITIONS)
        await producer.send_and_wait(
            logged_by_plain(made), key=KEY, value=b"20", partition=partition
        )
        await producer.stop()
        held.unlink()
        await counted(made, 11)
        await all_committed(made, made.plain_group)
        assert await zombie.stop() == 0
        changes = await made.read(logged_by_plain(made), full=True)
        assert [record.value for record in changes][-2:] == [b"20", b"11"]


async def test_the_engine_recovers_the_newer_row_whatever_a_zombie_writes(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "f-zombie-ours", tmp_path) as made:
        await made.send(events(0, 10))
        held = tmp_path / "held"
        first = made.start("zero")
        await counted(made, 10)
        await all_committed(made)
        assert await first.stop() == 0
        await made.send(events(10, 11))
        zombie = made.start("one", hold=("decide", 1, str(held)))
        await until(held.exists, _WITHIN)
        zombie.process.send_signal(signal.SIGSTOP)
        await made.send(events(11, 20))
        heir = made.start("two")
        await counted(made, 20)
        await all_committed(made)
        held.unlink()
        zombie.process.send_signal(signal.SIGCONT)
        assert await zombie.ended(_WITHIN) == EXIT_HALTED
        heir.kill()
        await made.send(events(20, 21))
        made.start("three")
        await counted(made, 21)

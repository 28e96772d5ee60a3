"""Several workers of a stage share its partitions, and hand them over without loss."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition

from processors.engine import EXIT_HALTED
from tests.kafka.counting import all_committed, events, exact, rows_changelog
from tests.support.engine_harness import PARTITIONS, Deployment, deployment
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


async def members(servers: str, group: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        [answer] = await admin.describe_consumer_groups([group])
        _, _, state, _, _, found, *_ = answer.groups[0]
        return len(found) if state == "Stable" else 0
    finally:
        await admin.close()


async def test_two_workers_share_the_partitions_and_hand_them_over(
    kafka_broker: Any, tmp_path: Path
) -> None:
    servers = kafka_broker.bootstrap_servers
    async with deployment(servers, "two", tmp_path) as made:
        await made.send(events(0, 1000))
        one = made.start("one")
        await one.ready()
        two = made.start("two")
        await made.send(events(1000, 2000))

        async def both() -> bool:
            return await members(servers, made.group) == 2

        await until(both, 30)
        await made.send(events(2000, 3000))
        await exact(made, 3000)
        await all_committed(made)
        # Databases are open where partitions are assigned: two each.
        for worker in ("one", "two"):
            assert list((tmp_path / worker).glob("**/rows-*.db")), worker
        assert await one.stop() == 0
        await made.send(events(3000, 3500))
        await exact(made, 3500)
        two.kill()
        await made.send(events(3500, 4000))
        made.start("one")
        await exact(made, 4000)
        await all_committed(made)


async def test_records_that_are_gone_before_they_were_read_are_reported(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "gap", tmp_path) as made:
        await made.send(events(0, 400))
        worker = made.start()
        await exact(made, 400)
        await all_committed(made)
        assert await worker.stop() == 0
        before = await made.ends("touchpoints")
        await made.send(events(400, 800))
        ends = await made.ends("touchpoints")
        admin = AIOKafkaAdminClient(bootstrap_servers=made.servers)
        await admin.start()
        topic = made.topic("touchpoints")
        await admin.delete_records(
            {TopicPartition(topic, n): RecordsToDelete(ends[n]) for n in range(PARTITIONS)}
        )
        await admin.close()
        await made.send(events(800, 840))
        worker = made.start()
        await all_committed(made)
        reported = worker.log.read_text()
        for number in range(PARTITIONS):
            assert f"missing={ends[number] - before[number]}" in reported


async def test_a_changelog_that_was_created_anew_is_not_taken_for_the_old_one(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "anew", tmp_path) as made:
        await made.send(events(0, 400))
        worker = made.start()
        await exact(made, 400)
        assert await worker.stop() == 0
        topic = rows_changelog(made)
        admin = AIOKafkaAdminClient(bootstrap_servers=made.servers)
        await admin.start()
        await admin.delete_topics([topic])

        async def created() -> bool:
            answer = await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
            return bool(answer.topic_errors[0][1] == 0)

        await until(created)
        await admin.close()
        worker = made.start()
        assert await worker.ended() == EXIT_HALTED
        assert b"changelog_behind_state" in worker.log.read_bytes()


async def test_a_worker_waits_for_topics_and_stops_at_any_moment(
    kafka_broker: Any, tmp_path: Path
) -> None:
    waiting = Deployment(kafka_broker.bootstrap_servers, "missing", tmp_path / "missing")
    worker = waiting.start()
    await until(lambda: b"topics_missing" in worker.log.read_bytes())
    assert await worker.stop() == 0
    async with deployment(kafka_broker.bootstrap_servers, "early", tmp_path) as made:
        for number in range(5):
            worker = made.start()
            await until(lambda worker=worker: worker.log.exists())  # type: ignore[misc]
            await asyncio.sleep(0.4 * number + 0.6)
            # Before the first line of ours runs, the signal ends the interpreter.
            assert await worker.stop() in {0, -signal.SIGTERM}, worker.log.read_text()
        assert "Traceback" not in worker.log.read_text()


async def test_a_broker_that_comes_back_finds_the_worker_at_work(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "restart", tmp_path) as made:
        await made.send(events(0, 400))
        worker = made.start(send_timeout=20.0, session_timeout=30.0)
        await exact(made, 400)
        kafka_broker.stop()
        kafka_broker.start()
        await made.send(events(400, 800))
        await exact(made, 800)
        await all_committed(made)
        assert await worker.stop() == 0
        assert "Traceback" not in worker.log.read_text()

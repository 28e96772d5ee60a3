"""Whatever step a worker dies after, and whatever it loses, the results are exact."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from processors.engine import EXIT_HALTED
from schemas.topics import partition_of
from tests.kafka.counting import KEYS, all_committed, events, exact, rows_changelog
from tests.support.engine_harness import PARTITIONS, Deployment, deployment
from tests.support.engine_stages import pack
from tests.support.engine_worker import KILLED
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

LAST = {"decide": 2, "log": 2, "apply": 2, "publish": 2, "commit": 1}


@pytest.mark.parametrize("step", LAST)
async def test_a_crash_after_any_step_leaves_exact_counts(
    kafka_broker: Any, tmp_path: Path, step: str
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, f"crash-{step}", tmp_path) as made:
        await made.send(events(0, 1000))
        worker = made.start(die=(step, LAST[step]), max_batch_records=100, session_timeout=60.0)
        assert await worker.ended() == KILLED
        await made.send(events(1000, 1500))
        # Its partitions are its own again long before the dead one's session ends.
        made.start(session_timeout=60.0)
        await exact(made, 1500)


async def test_without_its_folder_a_worker_recovers_rows_and_seen_ids_from_the_changelogs(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "lost", tmp_path) as made:
        await made.send(events(0, 1000))
        worker = made.start()
        await exact(made, 1000)
        await all_committed(made)
        assert await worker.stop() == 0
        shutil.rmtree(made.folder / "one")
        # The first half comes again, and none of it may count.
        await made.send([*events(0, 500), *events(1000, 1200)])
        await made.start().ready()
        await exact(made, 1200)


async def test_seen_ids_survive_a_restart_with_the_folder(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "seen", tmp_path) as made:
        await made.send(events(0, 400))
        worker = made.start()
        await exact(made, 400)
        assert await worker.stop() == 0
        await made.send([*events(0, 400), *events(400, 500)])
        made.start()
        await exact(made, 500)


async def test_a_foreign_writer_stops_the_process_before_it_applies_or_publishes(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "foreign", tmp_path) as made:
        await made.send(events(0, 400))
        worker = made.start()
        await exact(made, 400)
        await all_committed(made)
        published = await made.ends("profiles")
        key = KEYS[0]
        await write_row(made, key, pack(0, 1, 1, 0))
        await made.send([(key, b"event-%d" % number) for number in range(10_000, 10_010)])
        assert await worker.ended() == EXIT_HALTED
        assert b"foreign_writer" in worker.log.read_bytes()
        assert await made.ends("profiles") == published
        made.start()

        async def counted() -> bool:
            return (await made.counts())[key] == 20

        await until(counted, 30)


async def test_a_late_writers_older_row_is_not_recovered_and_the_newer_is_logged_again(
    kafka_broker: Any, tmp_path: Path
) -> None:
    async with deployment(kafka_broker.bootstrap_servers, "zombie", tmp_path) as made:
        await made.send(events(0, 400))
        worker = made.start()
        await exact(made, 400)
        assert await worker.stop() == 0
        for key in KEYS:
            await write_row(made, key, pack(0, 1, 1, 0))
        shutil.rmtree(made.folder / "one")
        await made.send(events(400, 440))
        worker = made.start()
        await exact(made, 440)
        assert await worker.stop() == 0
        assert b"rows_relogged" in worker.log.read_bytes()


async def write_row(made: Deployment, key: bytes, row: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=made.servers)
    await producer.start()
    partition = partition_of(key, PARTITIONS)
    await producer.send_and_wait(rows_changelog(made), key=key, value=row, partition=partition)
    await producer.stop()

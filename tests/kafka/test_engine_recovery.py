"""Local state that is lost comes back, whatever the broker has done to the changelogs meanwhile."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from deploy.local.kafka import KafkaNode, LocalKafka
from deploy.local.ports import free_port
from processors.engine import changelogs
from tests.kafka.counting import KEYS, all_committed, events, exact, rows_changelog
from tests.support.engine_harness import PARTITIONS, Deployment, deployment
from tests.support.engine_stages import CountingStage
from tests.support.kafka import require_kafka
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

#: Everything but the last second is compacted at once, and deletions are forgotten with it.
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.0",
    "delete.retention.ms": "0",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "500",
}


@pytest.fixture(scope="module")
def cleaning_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker whose cleaner comes five times a second."""
    require_kafka()
    node = KafkaNode(
        tmp_path_factory.mktemp("kafka"),
        port=free_port(),
        heap="384m",
        properties={"log.cleaner.backoff.ms": "200"},
    )
    with LocalKafka(node) as broker:
        yield broker


async def test_rows_come_back_from_a_compacted_changelog_and_deleted_ones_do_not(
    cleaning_kafka: LocalKafka, tmp_path: Path
) -> None:
    made = Deployment(cleaning_kafka.bootstrap_servers, "compacted", tmp_path)
    await made.create(rows=COMPACTED)
    gone = set(KEYS[::4])
    try:
        worker = made.start(max_batch_records=50)
        await made.send(events(0, 2000))
        await exact(made, 2000)
        await made.send((key, b"forget-%s" % key) for key in gone)
        await until(lambda: _shown(made, gone), 30)
        kept = [key for key in KEYS if key not in gone]
        await _compacted(made, kept, gone)
        await all_committed(made)
        assert await worker.stop() == 0
        shutil.rmtree(made.folder / "one")
        await made.send((key, b"after-%s" % key) for key in KEYS)
        await made.start().ready()
        sent = Counter(record.key for record in await made.read("touchpoints"))
        wanted = dict.fromkeys(gone, 1) | {key: sent[key] for key in kept}

        async def counted() -> bool:
            return await made.counts() == wanted

        await until(counted, 30)
    finally:
        made.close()


async def _shown(made: Deployment, gone: set[bytes]) -> bool:
    counts = await made.counts()
    return all(counts[key] == 0 for key in gone)


async def _compacted(made: Deployment, kept: list[bytes], gone: set[bytes]) -> None:
    """Send a little now and then, until the changelog holds few rows of a key, of `gone` none.

    What ends a partition is never compacted, so the keys that are kept go on.
    """
    number = 0

    async def clean() -> bool:
        nonlocal number
        number += 1
        await made.send((key, b"more-%d-%s" % (number, key)) for key in kept)
        rows = await made.read(rows_changelog(made), full=True)
        present = Counter(row.key for row in rows)
        return not gone & present.keys() and max(present.values()) <= 10

    await until(clean, 60)


async def test_seen_ids_that_kafka_has_let_go_keep_nobody_from_recovering(
    cleaning_kafka: LocalKafka, tmp_path: Path
) -> None:
    async with deployment(cleaning_kafka.bootstrap_servers, "expired", tmp_path) as made:
        worker = made.start()
        await made.send(events(0, 400))
        await exact(made, 400)
        await all_committed(made)
        assert await worker.stop() == 0
        shutil.rmtree(made.folder / "one")
        seen = changelogs(CountingStage(), made.namespace)[1].name
        admin = AIOKafkaAdminClient(bootstrap_servers=made.servers)
        await admin.start()
        everything = {TopicPartition(seen, n): RecordsToDelete(-1) for n in range(PARTITIONS)}
        await admin.delete_records(everything)
        await admin.close()
        await made.send(events(400, 800))
        await made.start().ready()
        await exact(made, 800)

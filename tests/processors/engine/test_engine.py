"""The engine on the in-memory broker, in this process: what it publishes, commits and reports."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.local.broker import EmbeddedBroker
from processors.engine import Hooks, changelogs, serve
from processors.engine.metrics import FAILED_RECORDS
from schemas.times import now_ms
from schemas.topics import partition_of
from tests.support.engine_doubles import Recorder, refuse_to_halt
from tests.support.engine_harness import PARTITIONS, Deployment, deployment
from tests.support.engine_stages import CountingStage
from tests.support.waiting import until


@contextlib.asynccontextmanager
async def running(
    made: Deployment, clock_ms: Callable[[], int] | None = None, **config: Any
) -> AsyncIterator[Recorder]:
    """The stage at work in this process until the block ends."""
    metrics, stop, ready = Recorder(), asyncio.Event(), asyncio.Event()
    hooks = Hooks(
        metrics=metrics,
        halt=refuse_to_halt,
        on_ready=ready.set,
        clock_ms=clock_ms or Hooks().clock_ms,
    )
    stage = CountingStage(**made.stage)
    task = asyncio.ensure_future(serve(stage, made.config(**config), hooks, stop))
    await asyncio.wait(
        {task, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED
    )
    try:
        yield metrics
    finally:
        stop.set()
        await task


def equal(found: Callable[[], Awaitable[Any]], expected: Any) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return bool(await found() == expected)

    return check


async def test_an_idle_engine_passes_an_event_on_within_100_ms_and_commits_it(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    servers = embedded_broker.bootstrap_servers
    async with deployment(servers, "latency", tmp_path) as made, running(made) as metrics:
        producer = AIOKafkaProducer(bootstrap_servers=servers)
        consumer = AIOKafkaConsumer(
            made.topic("profiles"),
            bootstrap_servers=servers,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=5,
        )
        await producer.start()
        await consumer.start()
        took = []
        for number in range(12):
            key = b"key-%d" % number
            began = time.monotonic()
            await producer.send(
                made.topic("touchpoints"), key=key, value=key, partition=partition_of(key, 4)
            )
            async for record in consumer:
                if record.key == key:
                    break
            took.append(time.monotonic() - began)
        await producer.stop()
        await consumer.stop()
        assert statistics.median(took) < 0.1
        ends = await made.ends("touchpoints")
        await until(equal(made.committed, [end or None for end in ends]))
        assert metrics.records == 12
        await until(lambda: len(metrics.lags) == PARTITIONS and not any(metrics.lags.values()))


async def test_a_record_that_fails_is_rejected_with_its_bytes_and_the_rest_goes_on(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    async with deployment(embedded_broker.bootstrap_servers, "poison", tmp_path) as made:
        events = [(b"key", b"event-%d" % number) for number in range(50)]
        await made.send([*events[:20], (b"key", b"poison"), *events[20:]])
        async with running(made, epoch=7) as metrics:
            await until(equal(made.counts, {b"key": 50}))
            [rejected] = await made.read("touchpoints.rejected")
            row = json.loads(rejected.value)
            assert row["reason"] == "processing_failed"
            assert row["detail"] == "ValueError in counting"
            assert base64.b64decode(row["payload_base64"]) == b"poison"
            assert row["rejected_id"] == rejected.key.decode()
            assert (row["form"], row["topic"], row["epoch"]) == ("record", "touchpoints", 7)
            assert row["partition"] == partition_of(b"key", PARTITIONS)
            assert base64.b64decode(row["key_base64"]) == b"key"
            assert metrics.counts[FAILED_RECORDS] == 1
            ends = await made.ends("touchpoints")
            await until(equal(made.committed, [end or None for end in ends]))


async def test_a_row_too_large_to_log_costs_the_record_and_not_the_stage(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    async with deployment(
        embedded_broker.bootstrap_servers, "large", tmp_path, padding=950_000
    ) as made:
        await made.send([(b"one", b"1"), (b"two", b"2")])
        async with running(made):

            async def both() -> bool:
                return len(await made.read("touchpoints.rejected")) == 2

            await until(both)
            rejected = await made.read("touchpoints.rejected")
            details = {json.loads(record.value)["detail"] for record in rejected}
            assert details == {"TooLarge in counting"}
            assert await made.counts() == {}


async def test_an_atomic_stages_rows_travel_in_one_record_batch_a_decision(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """40 rows of 40 KB do not fit one batch: the records are halved until they do."""
    async with deployment(
        embedded_broker.bootstrap_servers, "atomic", tmp_path, padding=40_000, atomic=True
    ) as made:
        keys = [b"key-%d" % number for number in range(1000)]
        keys = [key for key in keys if partition_of(key, PARTITIONS) == 0][:40]
        await made.send((key, key) for key in keys)
        async with running(made):
            await until(equal(made.counts, dict.fromkeys(keys, 1)))
            topic = changelogs(CountingStage(**made.stage), made.namespace)[0].name
            logged = await made.read(topic, full=True)
            assert sorted(record.key for record in logged) == sorted(keys)


async def test_what_is_due_fires_once_when_its_moment_has_come_and_nothing_waits(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    now = [now_ms()]
    async with deployment(
        embedded_broker.bootstrap_servers, "due", tmp_path, deadlines=True
    ) as made:
        keys = [b"key-%d" % number for number in range(30)]
        await made.send((key, key) for key in keys)

        async def late() -> list[bytes]:
            return sorted(record.key for record in await made.read("segment.changes"))

        async with running(made, lambda: now[0]) as metrics:
            await until(equal(made.counts, dict.fromkeys(keys, 1)))
            assert await late() == []
            now[0] += 60_000
            await until(equal(late, sorted(keys)))
            assert 0 <= min(metrics.late) <= max(metrics.late) <= 60
            assert set(metrics.keys) == set(range(PARTITIONS))
        async with running(made, lambda: now[0]):
            await made.send([(b"one more", b"x")])
            now[0] += 60_000
            await until(equal(late, sorted([*keys, b"one more"])))


async def test_without_a_broker_the_engine_says_so_in_one_line_and_stops_when_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = Deployment("127.0.0.1:1", "nobody", tmp_path)
    stop = asyncio.Event()
    task = asyncio.ensure_future(serve(CountingStage(), made.config(), Hooks(), stop))
    output = ""

    def said() -> bool:
        nonlocal output
        output += capfd.readouterr().out
        return output.count("kafka_unreachable") >= 2

    await until(said)
    stop.set()
    await asyncio.wait_for(task, 5)
    assert "Traceback" not in output

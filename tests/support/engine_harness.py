"""A stage's topics on a broker, its workers as processes, and what came out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord

from processors.engine import EngineConfig, changelogs, group
from schemas.topics import full_name, partition_of
from tests.support.engine_stages import CountingStage

PARTITIONS = 4
ROOT = Path(__file__).parents[2]
#: For a worker that starts again on the in-memory broker, which admits it only when the session of
#: the one before is over.
SHORT_SESSION = {"session_timeout": 3.0, "send_timeout": 2.0}
TOPICS = ("touchpoints", "profiles", "touchpoints.rejected", "segment.changes")


class Deployment:
    """One namespace of a broker with the topics of a `CountingStage`."""

    def __init__(
        self, servers: str, namespace: str, folder: Path, stage: dict[str, Any] | None = None
    ) -> None:
        self.servers = servers
        self.namespace = namespace
        self.folder = folder
        self.stage = stage or {}
        self.workers: list[Worker] = []

    def config(self, name: str = "one", **changes: Any) -> EngineConfig:
        defaults: dict[str, Any] = {
            "session_timeout": 6.0,
            "send_timeout": 5.0,
            "commit_interval": 0.2,
            "tick_interval": 0.2,
        }
        return EngineConfig(
            bootstrap_servers=self.servers,
            data_dir=self.folder / name,
            partitions=PARTITIONS,
            namespace=self.namespace,
            **{**defaults, **changes},
        )

    def topic(self, name: str) -> str:
        return full_name(self.namespace, name)

    async def create(self, *more: str, rows: dict[str, str] | None = None) -> None:
        """Create the topics; on the in-memory broker asking for them is enough.

        `rows` is the Kafka configuration of the changelog of rows.
        """
        stage = CountingStage(**self.stage)
        names = [self.topic(name) for name in (*TOPICS, *more)]
        changelog, *others = [topic.name for topic in changelogs(stage, self.namespace)]
        names += others
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await admin.start()
        try:
            new = [NewTopic(name, PARTITIONS, 1) for name in names]
            new.append(NewTopic(changelog, PARTITIONS, 1, topic_configs=rows or {}))
            await admin.create_topics(new)
        except Exception:
            await admin.describe_topics([*names, changelog])
        finally:
            await admin.close()

    async def create_topic(self, name: str) -> None:
        """Create a further topic, by its full name."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
        finally:
            await admin.close()

    async def send(self, records: Iterable[tuple[bytes, bytes]], topic: str = "touchpoints") -> int:
        producer = AIOKafkaProducer(bootstrap_servers=self.servers, acks="all")
        await producer.start()
        sent = [
            await producer.send(
                self.topic(topic), key=key, value=value, partition=partition_of(key, PARTITIONS)
            )
            for key, value in records
        ]
        await asyncio.gather(*sent)
        await producer.stop()
        return len(sent)

    async def read(self, topic: str, *, full: bool = False) -> list[ConsumerRecord]:
        """All records that the topic holds now, each partition in its order."""
        name = topic if full else self.topic(topic)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.servers, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )
        await consumer.start()
        try:
            tps = [TopicPartition(name, number) for number in range(PARTITIONS)]
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            records: list[ConsumerRecord] = []
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    records += batch
            return records
        finally:
            await consumer.stop()

    async def counts(self) -> dict[bytes, int]:
        """The last published count of each key."""
        return {r.key: int(r.value) for r in await self.read("profiles")}

    async def committed(self, group: str | None = None) -> list[int | None]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.servers, group_id=group or self.group)
        await consumer.start()
        try:
            tps = [TopicPartition(self.topic("touchpoints"), n) for n in range(PARTITIONS)]
            return [await consumer.committed(tp) for tp in tps]
        finally:
            await consumer.stop()

    async def ends(self, topic: str) -> list[int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.servers)
        await consumer.start()
        try:
            tps = [TopicPartition(self.topic(topic), number) for number in range(PARTITIONS)]
            ends = await consumer.end_offsets(tps)
            return [ends[tp] for tp in tps]
        finally:
            await consumer.stop()

    @property
    def group(self) -> str:
        return group(CountingStage(**self.stage), self.namespace)

    def start(
        self,
        name: str = "one",
        *,
        die: tuple[str, int] | None = None,
        hold: tuple[str, int, str] | None = None,
        **changes: Any,
    ) -> Worker:
        """A worker of the stage; `die` and `hold` as in `tests.support.engine_worker`."""
        config = self.config(name, **changes)
        fields = {key: getattr(config, key) for key in config.__dataclass_fields__}
        options = {
            "config": {**fields, "data_dir": str(config.data_dir)},
            "stage": self.stage,
            "die": die,
            "hold": hold,
        }
        config.data_dir.mkdir(parents=True, exist_ok=True)
        return self._start(name, "tests.support.engine_worker", options)

    def plain(self, agent: str, name: str = "one", **options: Any) -> Worker:
        """A worker of plain Faust on the same topics, see `tests.support.plain_faust`."""
        given = {
            "servers": self.servers,
            "group": self.plain_group,
            "folder": str(self.folder / name),
            "partitions": PARTITIONS,
            "input": self.topic("touchpoints"),
            "output": self.topic("profiles"),
            "agent": agent,
        }
        return self._start(name, "tests.support.plain_faust", {**given, **options})

    @property
    def plain_group(self) -> str:
        return f"{self.namespace}-plain"

    def _start(self, name: str, module: str, options: dict[str, Any]) -> Worker:
        # Outside the data folder, which a test may delete or fill.
        worker = Worker(self.folder / f"{name}-{len(self.workers)}.log", module, options)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()


class Worker:
    """A stage's process, of ours or of plain Faust."""

    def __init__(self, log: Path, module: str, options: dict[str, Any]) -> None:
        self.log = log
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, json.dumps(options)],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    async def ended(self, within: float = 30) -> int:
        """Wait for the end; its exit status."""
        await until(lambda: self.process.poll() is not None, within)
        return self.process.returncode

    async def ready(self, within: float = 30) -> None:
        await until(lambda: b"ready\n" in self.log.read_bytes(), within)

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended(12)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


async def until(condition: Callable[[], Any], within: float = 20) -> None:
    """Poll until a condition (plain or a coroutine function) holds."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {within} s")
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def deployment(
    servers: str, namespace: str, folder: Path, **stage: Any
) -> AsyncIterator[Deployment]:
    """A fresh deployment whose workers do not outlive it."""
    made = Deployment(servers, namespace, folder, stage)
    await made.create()
    try:
        yield made
    finally:
        made.close()

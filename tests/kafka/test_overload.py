"""Overload: senders want three times what Kafka takes, and Kafka works for those who still wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.config.settings import load
from deploy.kafka.control import present_generation
from deploy.local.kafka import KafkaNode, LocalKafka
from schemas.topics import TOUCHPOINTS, full_name
from tests.support.clickhouse import LocalClickHouse
from tests.support.kafka import require_kafka
from tests.support.proxy import Delay, Pass, Proxy
from tests.support.system import SOURCES, System, ports
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PARTITIONS = 4
#: Each partition has one batch of 256 KiB under way: so slow, Kafka takes 0.7 MB a second. In the
#: 10 seconds for which a request waits it takes 7 MB; the senders together hold 20 MB.
ANSWER_S = 1.5
SENDERS = 200
EVENTS, EVENT_BYTES = 20, 5_000
OVERLOAD_S = 20.0
#: What the gateway may hold more than at rest: bodies and records of all senders, several times.
GROWTH_BYTES = 160 * 1024 * 1024


@pytest.fixture
def proxied_kafka(tmp_path: Path) -> Iterator[Proxy]:
    """A broker that everybody reaches through the proxy."""
    require_kafka()
    port = ports()
    with Proxy("127.0.0.1", port) as proxy:
        seen = {"advertised.listeners": f"PLAINTEXT://{proxy.address}"}
        node = KafkaNode(tmp_path / "kafka", port=port, heap="384m", properties=seen)
        with LocalKafka(node):
            yield proxy


class Senders:
    """Clients that send batch after batch, each until it is kept, as SDKs do."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/events"
        self._headers = {"Authorization": f"Bearer {SOURCES['web']['token']}"}
        self.kept: set[str] = set()
        self.refused = 0
        self.enough = False

    async def run(self) -> None:
        """Returns when there is enough and all that was begun is kept."""
        connector = aiohttp.TCPConnector(limit=SENDERS)
        async with aiohttp.ClientSession(connector=connector, headers=self._headers) as http:
            await asyncio.gather(*(self._sender(http, number) for number in range(SENDERS)))

    async def _sender(self, http: aiohttp.ClientSession, sender: int) -> None:
        batch = 0
        while not self.enough:
            ids = [f"{sender}.{batch}.{n}" for n in range(EVENTS)]
            body = json.dumps([_event(event_id) for event_id in ids])
            again = await self._send(http, body)
            while again is not None:
                await asyncio.sleep(again)
                again = await self._send(http, body)
            self.kept.update(ids)
            batch += 1

    async def _send(self, http: aiohttp.ClientSession, body: str) -> float | None:
        """None when it is kept, otherwise the seconds after which to come again."""
        async with http.post(self._url, data=body) as reply:
            if reply.status == 202:
                return None
            assert reply.status == 503, await reply.text()
            self.refused += 1
            again = int(reply.headers["Retry-After"])
            assert again >= 1
            return again


def _event(event_id: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "channel": "web",
        "type": "page_viewed",
        "identifiers": [{"kind": "customer_id", "value": f"c{event_id}"}],
        "properties": {"text": "x" * EVENT_BYTES},
    }


def resident_bytes(pid: int) -> int:
    """The memory that a process holds, from /proc."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


async def ids_on_topic(servers: str, topic: str) -> list[str]:
    """The event ids of all records, repetitions too."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[str] = []
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += [json.loads(record.value)["event_id"] for record in records]
        return found
    finally:
        await consumer.stop()


async def test_overload_is_refused_in_time_and_what_was_kept_is_there(
    proxied_kafka: Proxy, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    servers = proxied_kafka.address
    with System(tmp_path / "system", servers, clickhouse, namespace) as system:
        await asyncio.to_thread(system.setup)
        gateway = system.gateway()
        await asyncio.to_thread(system.ready)
        at_rest = most = resident_bytes(gateway.popen.pid)
        proxied_kafka.behave(Delay(ANSWER_S))
        senders = Senders(system.gateway_url)
        sending = asyncio.create_task(senders.run())
        loop = asyncio.get_running_loop()
        end = loop.time() + OVERLOAD_S
        while loop.time() < end and not sending.done():
            most = max(most, resident_bytes(gateway.popen.pid))
            await asyncio.sleep(0.1)
        bound = gateway.count("publish_bound_bytes")
        kept_meanwhile = len(senders.kept)
        senders.enough = True
        proxied_kafka.behave(Pass())
        await until(sending.done, 60)
        await sending
        topic = full_name(
            present_generation(load(system.file).settings).namespace, TOUCHPOINTS.name
        )
        found = await ids_on_topic(servers, topic)
        assert senders.refused
        assert kept_meanwhile
        # Less than Kafka takes while a request waits.
        assert bound < 7_000_000
        assert most - at_rest < GROWTH_BYTES
        # What was refused came again until it was kept.
        assert set(found) == senders.kept
        assert len(found) < 1.25 * len(senders.kept), "Kafka worked for repetitions"
        system.end()

"""The publisher port over aiokafka: idempotent, acks=all, snappy.

aiokafka never lets an idempotent batch expire, so a record of a batch that was not acknowledged in
time is still sent when Kafka is back; it counts against the bound of waiting bytes until then. What
is in no batch by then is not sent. A producer that Kafka has thrown out (a new broker lifetime, a
lost producer id) is replaced by a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from ingest.publishing.inflight_window import Entry, Window
from ingest.publishing.port import WRITTEN, KafkaConnection, Message, NotAcknowledged, checked
from ingest.publishing.record_batches import Chunk, Lane
from schemas.backoff import backoff_s
from schemas.topics import full_name, partition_of

log = structlog.get_logger(__name__)
#: Logical topic and partition.
_Where = tuple[str, int]
_FIRST_PAUSE_S = 0.2
_NOT_CONNECTED = "Kafka is not reachable yet"
#: Batches of one partition hold at most this many bytes.
_BATCH_BYTES = 256 * 1024
#: Part of the time for which a request waits that an acknowledgement may take before fewer bytes
#: are admitted. It leaves room for an overshoot, and for senders less patient than the gateway.
_TARGET = 0.25


@dataclass(frozen=True, slots=True)
class KafkaPublisherConfig:
    """Bounds of the publisher; times in seconds."""

    connection: KafkaConnection
    client_id: str = "touchline-gateway"
    #: A publish that is not acknowledged by then fails.
    acknowledge_s: float = 10.0
    #: Records not yet acknowledged hold at most this many bytes (see `inflight_window`).
    max_waiting_bytes: int = 64 * 1024 * 1024
    #: Bytes that may wait however slow Kafka is: a batch for each of a few partitions.
    min_waiting_bytes: int = 1024 * 1024
    #: Time for which a batch waits for further records.
    linger_s: float = 0.003
    #: Interval of the checks that Kafka is reachable.
    probe_s: float = 3.0


class KafkaPublisher:
    """A publisher over one connection that it keeps alive by itself."""

    def __init__(
        self, config: KafkaPublisherConfig, *, bounded: Callable[[int], None] = lambda _: None
    ) -> None:
        """`bounded` gets the number of bytes that may wait, whenever that may have changed."""
        self._config = config
        self._bounded = bounded
        self._window = Window(
            config.min_waiting_bytes, config.max_waiting_bytes, config.acknowledge_s * _TARGET
        )
        bounded(self._window.bound)
        self._topics = {
            topic.name: full_name(config.connection.namespace, topic.name) for topic in WRITTEN
        }
        self._partitions: dict[str, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._broken = asyncio.Event()
        self._problem: str | None = _NOT_CONNECTED
        self._lanes: dict[_Where, Lane] = {}

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._keeper = asyncio.create_task(self._keep_connected(), name="kafka-publisher")

    async def stop(self, grace_s: float) -> None:
        """Wait for what is in flight, at most `grace_s` seconds, then disconnect."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        await self._disconnect(grace_s)
        self._problem = "the publisher is stopped"

    @property
    def problem(self) -> str | None:
        """The reason why records cannot be sent at present; None when they can."""
        return self._problem

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the records that Kafka has not acknowledged yet."""
        return self._window.waiting

    async def publish(self, messages: Sequence[Message]) -> None:
        """Send all; return once every record is acknowledged (see `Publisher.publish`)."""
        if self._problem is not None:
            # Fail at once: records sent now would only wait, and arrive beside their repetition.
            raise NotAcknowledged(self._problem)
        parts = self._divide(messages)
        sizes = {where: sum(len(r.value) for r in records) for where, records in parts.items()}
        if not self._window.fits(sum(sizes.values())):
            raise NotAcknowledged("Kafka is slower than what comes in")
        chunks = [self._put(where, records, sizes[where]) for where, records in parts.items()]
        if not chunks:
            return
        try:
            # wait, unlike gather, leaves the futures alone when time is up.
            done, late = await asyncio.wait(
                [chunk.done for chunk in chunks], timeout=self._config.acknowledge_s
            )
        finally:
            for chunk in chunks:
                if not chunk.done.done():
                    chunk.withdraw()
        if late:
            raise NotAcknowledged("Kafka did not acknowledge in time")
        failed = next((e for future in done if (e := future.exception()) is not None), None)
        if failed is not None:
            raise NotAcknowledged(f"Kafka refused the records ({type(failed).__name__})")

    def _divide(self, messages: Sequence[Message]) -> dict[_Where, list[Message]]:
        """Return the records by topic and partition, in their order."""
        parts: defaultdict[_Where, list[Message]] = defaultdict(list)
        for message in messages:
            checked(message.value)
            partition = partition_of(message.key, self._partitions[message.topic])
            parts[message.topic, partition].append(message)
        return parts

    def _put(self, where: _Where, records: Sequence[Message], size: int) -> Chunk:
        lane = self._lanes.get(where)
        if lane is None:
            topic, partition = where
            lane = self._lanes[where] = Lane(
                self._producer,
                self._topics[topic],
                partition,
                linger_s=self._config.linger_s,
                broken=self._replace,
            )
        chunk = lane.put(records)
        entry = self._window.enter(size, time.monotonic())
        chunk.done.add_done_callback(partial(self._settled, entry))
        return chunk

    def _settled(self, entry: Entry, future: asyncio.Future[None]) -> None:
        # Asking for the error marks it as seen, for a request that has given up waiting.
        acknowledged = not future.cancelled() and future.exception() is None
        self._window.leave(entry, time.monotonic(), acknowledged=acknowledged)
        self._bounded(self._window.bound)

    def _replace(self, error: Exception) -> None:
        """Replace the producer: a delivery failed for good, so its sequence is broken."""
        if not self._broken.is_set():
            log.warning("kafka_producer_replaced", error=type(error).__name__)
            self._problem = _NOT_CONNECTED
            self._broken.set()

    # Connection ---------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        while True:
            try:
                await self._connect()
                await self._watch()
            except Exception:  # a bug of ours must not end the retrying
                log.exception("kafka_publisher_failed")
                await asyncio.sleep(self._config.probe_s)
            await self._disconnect(grace_s=0)

    async def _watch(self) -> None:
        """Return when the producer has to be replaced."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.probe_s):
                    await self._broken.wait()
                    return
            await self._probe()

    async def _connect(self) -> None:
        """Return once connected and all topics are known; log once what is wrong."""
        failures = 0
        while True:
            producer = self._new_producer()
            try:
                await producer.start()
                for topic, name in self._topics.items():
                    self._partitions[topic] = len(await producer.partitions_for(name))
            except (KafkaError, OSError, TimeoutError) as error:
                await _close(producer)
                self._report(self._explain(error))
                pause = backoff_s(failures, first_s=_FIRST_PAUSE_S, longest_s=self._config.probe_s)
                failures += 1
                await asyncio.sleep(pause)
            except BaseException:
                await _close(producer)
                raise
            else:
                self._broken.clear()
                self._producer = producer
                self._report(None)
                return

    def _explain(self, error: Exception) -> str:
        if isinstance(error, UnknownTopicOrPartitionError):
            missing = " or ".join(self._topics.values())
            return f"Kafka at {self._servers} has no topic {missing}: run touchline setup"
        return f"Kafka at {self._servers} is not reachable ({type(error).__name__})"

    async def _probe(self) -> None:
        """Ask for metadata, which shows that Kafka is there, and how many partitions there are."""
        if self._producer is None:
            return
        client = self._producer.client
        if not await client.force_metadata_update():
            self._report(f"Kafka at {self._servers} does not answer")
            return
        for topic, name in self._topics.items():
            if partitions := client.cluster.partitions_for_topic(name):
                self._partitions[topic] = len(partitions)
        self._report(None)

    async def _disconnect(self, grace_s: float) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        self._problem = _NOT_CONNECTED
        lanes, self._lanes = self._lanes, {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await asyncio.gather(*(lane.flush() for lane in lanes.values()))
        for lane in lanes.values():
            await lane.close(KafkaError("the producer was closed"))
        await _close(producer)

    def _new_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self._servers,
            client_id=self._config.client_id,
            acks="all",
            enable_idempotence=True,
            compression_type="snappy",
            max_batch_size=_BATCH_BYTES,
            request_timeout_ms=int(self._config.acknowledge_s * 1000),
            **self._config.connection.security,
        )

    @property
    def _servers(self) -> str:
        return self._config.connection.bootstrap_servers

    def _report(self, problem: str | None) -> None:
        """Remember the state, and log it when it changes."""
        if problem == self._problem:
            return
        if problem is None:
            log.info("kafka_reachable", servers=self._servers, partitions=self._partitions)
        else:
            log.warning("kafka_unreachable", detail=problem, servers=self._servers)
        self._problem = problem


async def _close(producer: AIOKafkaProducer) -> None:
    """Disconnect without waiting for what cannot be delivered.

    `AIOKafkaProducer.stop` waits for every batch, for ever when Kafka is gone; so its parts are
    closed one by one. The lanes have told whoever waited for a batch.
    """
    producer._closed = True
    if producer._sender.sender_task is not None:
        await producer._sender.close()
    await producer.client.close()

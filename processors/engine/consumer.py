"""Faust's consumer, adapted: batches instead of events, and commits that the engine decides.

Each override names the method it replaces in faust-streaming 0.15.3, and the reason;
tests/processors/engine and tests/kafka have a test for the behaviour of each.
"""
# mypy: disable-error-code="misc"
# (Faust has no usable type information, so its classes are Any, which strict mypy does not let us
# subclass.)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

if TYPE_CHECKING:
    from processors.engine.config import EngineConfig

FETCH_BYTES = 16 << 20


class BatchScheduler:
    """A scheduler that yields one message per partition and fetch, its value the list of records.

    Faust's path costs the same for a batch as for a single event.
    """

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, list[Any]]]:
        """Yield the fetched partitions, each with all of its records."""
        return iter([(tp, batch) for tp, batch in records.items() if batch])


class EngineConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that creates and runs the aiokafka consumer."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        # Faust's default waits up to 1.5 s in a fetch. A partition that was just read joins only
        # the next fetch, so a neighbour without new records delayed it by that time.
        config: EngineConfig = self.app.engine.config
        self._assignor = self.app.assignor
        return AIOKafkaConsumer(
            bootstrap_servers=config.bootstrap_servers,
            group_id=self.app.conf.id,
            group_instance_id=config.instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=config.max_batch_records,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=int(config.fetch_max_wait * 1000),
            session_timeout_ms=int(config.session_timeout * 1000),
            rebalance_timeout_ms=int(config.session_timeout * 1000),
            heartbeat_interval_ms=int(min(3.0, config.session_timeout / 3) * 1000),
            request_timeout_ms=int(self.app.conf.broker_request_timeout * 1000),
            max_poll_interval_ms=int(self.app.conf.broker_max_poll_interval * 1000),
            **config.security,
        )

    async def on_thread_stop(self) -> None:
        """Leave the group for good, also as a static member: another process may take over at once.

        Static membership is for a process that dies, and is back before its session ends.
        """
        if self._consumer is not None:
            self._consumer._coordinator._group_instance_id = None
        await super().on_thread_stop()

    def pause(self, tps: Iterable[TP], *, paused: bool) -> None:
        """Stop or resume fetching; takes effect in the consumer's thread, in the order of calls."""
        self.thread_loop.call_soon_threadsafe(self._pause, list(tps), paused)

    def _pause(self, tps: list[TP], paused: bool) -> None:
        if self._consumer is None:
            return
        act = self._consumer.pause if paused else self._consumer.resume
        assigned = self._consumer.assignment()
        for tp in tps:
            if tp in assigned:
                act(driver.ensure_aiokafka_TP(tp))

    async def rewind(self, tp: TP, offset: int) -> None:
        """Fetch again from this offset. Runs in the consumer's thread."""
        if self._consumer is not None and tp in self._consumer.assignment():
            self._consumer.seek(driver.ensure_aiokafka_TP(tp), offset)

    def handed_out(self, tp: TP) -> int | None:
        """Return the offset after the last record given to Faust, None if unknown."""
        if self._consumer is None or tp not in self._consumer.assignment():
            return None
        state = self._consumer._subscription.subscription.assignment.state_value(tp)
        return state.position if state.has_valid_position else None

    def polled_highwater(self, tp: TP, since_ms: int) -> int | None:
        """Return the end offset seen by a fetch after `since_ms` (wall clock), or None."""
        if self._consumer is None or tp not in self._consumer.assignment():
            return None
        polled = self._consumer.last_poll_timestamp(tp)
        if polled is None or polled < since_ms:
            return None
        highwater: int | None = self._consumer.highwater(tp)
        return highwater


class IgnoredReadOffsets(dict[Any, Any]):
    """Faust's memory of read offsets, which stores nothing.

    Faust drops records that it believes to have read already, even if the engine asked for them
    again, and takes the distance between two batches for a gap. The engine tracks the next offset
    itself.
    """

    def __getitem__(self, tp: Any) -> None:
        return None

    def __setitem__(self, tp: Any, offset: Any) -> None:
        pass

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


class EngineConsumer(driver.Consumer):
    """A consumer of batches that commits only the offsets that the engine returns."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = IgnoredReadOffsets()

    async def rewind(self, tp: TP, offset: int) -> None:
        """Fetch again from this offset."""
        await self._thread.call_thread(self._thread.rewind, tp, offset)

    def handed_out(self, tp: TP) -> int | None:
        """Return the offset after the last record that aiokafka gave to Faust, None if unknown."""
        offset: int | None = self._thread.handed_out(tp)
        return offset

    def _new_consumer_thread(self) -> EngineConsumerThread:
        return EngineConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, record: list[Any]) -> ConsumerMessage:
        # The message represents all its records and has the offset of the last one, so that Faust's
        # counts of read and recovered records are right.
        last = record[-1]
        return ConsumerMessage(
            last.topic,
            last.partition,
            last.offset,
            (last.timestamp or 0) / 1000.0,
            last.timestamp_type,
            (),
            None,
            record,
            None,
            None,
            None,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def ack(self, message: Any) -> bool:
        """Mark the message as processed; only `wait_empty` needs to know. Commits nothing."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        waiting = self._waiting_for_ack
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:
        return list(self.app.engine.committable())

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        offsets = self.app.engine.committable()
        return {
            tp: offsets[tp] for tp in tps if tp in offsets and self._should_commit(tp, offsets[tp])
        }

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        done: bool = await super()._commit(offsets)
        if done:
            self.app.engine.probe("commit")
        return done

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: without any partition left to fetch from, Faust would sleep for a second.

        The queue of two batches limits the fetcher by itself.
        """

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing, see `on_buffer_full`."""

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Pause in aiokafka too: it would fetch changelogs once more and keep the records."""
        tps = set(tps)
        super().pause_partitions(tps)
        self._thread.pause(tps, paused=True)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume in aiokafka too."""
        tps = set(tps)
        super().resume_partitions(tps)
        self._thread.pause(tps, paused=False)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust's watchdog mistakes paused changelogs for stalled ones."""

    def committed_offset(self, tp: TP) -> int | None:
        """Return the group's committed offset as of the last commit or seek, or None."""
        offset: int | None = self._committed_offset.get(tp)
        return offset

    def polled_highwater(self, tp: TP, since_ms: int) -> int | None:
        """Return the end offset; see `EngineConsumerThread.polled_highwater`."""
        highwater: int | None = self._thread.polled_highwater(tp, since_ms)
        return highwater


class EngineTransport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer = EngineConsumer

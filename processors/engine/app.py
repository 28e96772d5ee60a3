"""The Faust application of a stage: its settings, and the rebalances it reports to the engine."""
# mypy: disable-error-code="misc"
# (Faust has no usable type information, so its classes are Any, which strict mypy does not let us
# subclass.)

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import faust
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from processors.engine.consumer import FETCH_BYTES, BatchScheduler, EngineTransport
from processors.engine.tables import EngineTable

if TYPE_CHECKING:
    from processors.engine.runner import Engine


class EngineFlowControl(FlowControlEvent):
    """Flow control that does not lose input in flight.

    At the end of a recovery Faust resumes a second time, when input is already arriving, and each
    resumption empties the queues: those batches were lost, and commits passed them.
    """

    def resume(self) -> None:
        """Resume production; a second time has no effect."""
        if not self.is_active():
            super().resume()


class EngineApp(faust.App):
    """The Faust application of one stage."""

    engine: Engine

    def __init__(self, engine: Engine, group: str, data_dir: Path) -> None:
        config = engine.config
        self.engine = engine
        super().__init__(
            group,
            broker=[f"kafka://{server}" for server in config.bootstrap_servers.split(",")],
            store="rocksdb://",
            datadir=str(data_dir),
            ConsumerScheduler=BatchScheduler,
            agent_supervisor="mode.CrashingSupervisor",  # the default restarts past a failed batch
            stream_wait_empty=True,  # a rebalance waits for the batch that is being processed
            stream_buffer_maxsize=4,  # of changelog batches
            broker_commit_interval=config.commit_interval,
            broker_max_poll_records=config.max_batch_records,
            consumer_max_fetch_size=FETCH_BYTES,
            broker_session_timeout=config.session_timeout,
            broker_request_timeout=max(90.0, config.session_timeout),
            table_standby_replicas=0,
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
        )

    @cached_property
    def flow_control(self) -> EngineFlowControl:
        """Return the flow control; see `EngineFlowControl`."""
        return EngineFlowControl(loop=self.loop)

    def _new_transport(self) -> EngineTransport:
        return EngineTransport(self.conf.broker_consumer, self)

    def add_table(self, name: str) -> EngineTable:
        """Declare a table whose changelog has the name that Faust gives it."""
        table = EngineTable(
            self,
            name=name,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=self.topic(
                f"{self.conf.id}-{name}-changelog",
                key_serializer="raw",
                value_serializer="raw",
                acks=False,
                allow_empty=True,
            ),
            # Counted in batches. Not 1: Faust then goes on reading the changelog after the
            # recovery.
            recovery_buffer_size=2,
        )
        self.tables.add(table)
        return table

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.engine.suspend()
        await super()._on_partitions_revoked(revoked)
        await self.engine.scheduler.wait_idle()

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.engine.suspend()
        await self.engine.scheduler.wait_idle()
        self.engine.forget_partitions()
        await super()._on_partitions_assigned(assigned, generation_id)

    def on_rebalance_end(self) -> None:
        """Tell the engine that all partitions are recovered."""
        super().on_rebalance_end()
        self.engine.resume()

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        self.engine.on_crash(reason)

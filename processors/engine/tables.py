"""Faust's tables, adapted: a changelog and a database for each assigned partition."""
# mypy: disable-error-code="misc"
# (Faust has no usable type information, so its classes are Any, which strict mypy does not let us
# subclass.)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import faust
import rocksdict
from faust.stores.rocksdb import Store as RocksStore
from faust.types import TP

from processors.engine.store import StorageError, open_by_this_release
from schemas.rows import NewerFormat

_WRITE_BUFFER_BYTES = 16 << 20
_BLOOM_BITS = 10


class EngineStore(RocksStore):
    """The databases of a table, opened for assigned partitions only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._assigned: set[int] = set()

    def database(self, partition: int) -> Any:
        """Return an assigned partition's database. Get it again after each await."""
        return self._db_for_partition(partition)

    def _db_for_partition(self, partition: int) -> Any:
        # Faust opens any database that is not open, even of a partition that was revoked.
        if partition not in self._assigned:
            raise StorageError("not assigned")
        return super()._db_for_partition(partition)

    def _open_for_partition(self, partition: int) -> Any:
        # Faust's defaults are a 3-bit bloom filter and 2 GiB of cache per partition.
        blocks = rocksdict.BlockBasedOptions()
        blocks.set_bloom_filter(_BLOOM_BITS, False)
        blocks.set_block_cache(self.app.engine.cache)
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
        options.set_block_based_table_factory(blocks)
        path = self.partition_path(partition)
        db = rocksdict.Rdict(str(path), options=options)
        try:
            open_by_this_release(db, str(path))
        except NewerFormat as error:
            # Faust would try again for half a minute and then report another error.
            self.app.engine.on_crash(error)
        return db

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Open the assigned partitions, close the others."""
        topics = self.table.changelog_topic.topics
        self._assigned = {tp.partition for tp in assigned if tp.topic in topics}
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def revoke_partitions(self, table: Any, tps: set[TP]) -> None:
        """Close the databases, so that another process may open them."""
        for tp in tps:
            if tp.topic in table.changelog_topic.topics:
                self._close(tp.partition)

    async def stop(self) -> None:
        """Close all databases."""
        self._assigned.clear()
        for partition in list(self._dbs):
            self._close(partition)

    def _close(self, partition: int) -> None:
        db = self._dbs.pop(partition, None)
        if db is not None:
            db.close()

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """Apply changelog records: each event's value is a list of records.

        Events of a foreign topic are dropped: Faust hands an event of a partition that it does not
        know to the table of the event before it.
        """
        for event in batch:
            message = event.message
            mine = message.topic in self.table.changelog_topic.topics
            if mine and message.partition in self._assigned:
                self.app.engine.recover(self.table_name, message.partition, message.value)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Tell the engine that the recovery is complete, before any input is read."""
        await self.app.engine.on_recovered(active_tps)


class EngineTable(faust.Table):
    """A changelog and its databases. It is not used as a dictionary."""

    def _new_store_by_url(self, url: Any) -> EngineStore:
        return EngineStore(url, self.app, self, table_name=self.name, loop=self.loop)

    async def on_start(self) -> None:
        """Start the store; `setup` has created the changelog."""
        await self.add_runtime_dependency(self.data)

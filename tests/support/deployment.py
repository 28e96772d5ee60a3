"""The stages over the in-memory log, with the real ClickHouse behind them in place of the sinks."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.operations.identity.log import IdentityLog
from schemas import messages, topics
from schemas.identifiers import Identifier
from schemas.messages import SplitCommand
from sinks.clickhouse.tables import CONFLICTS, IDENTITIES, LINKS, PROFILES, SPLITS
from tests.support.pipeline import Pipeline
from tests.support.sinking import Store
from tests.support.touches import touch

SHOWN = (IDENTITIES, PROFILES, CONFLICTS, LINKS, SPLITS)


class World:
    """Stages and store in one; also `split.Commands`, carried out when they are to settle.

    `stuck` is an outage of the stages.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pipeline = Pipeline()
        self.log = IdentityLog(store.clickhouse, store.namespace)
        self.sent: list[SplitCommand] = []
        self.settled = 0
        self.stuck = False

    def touch(
        self, event_id: str, *identifiers: tuple[str, str], source: str = "shop", at: str = "05-01"
    ) -> None:
        """A touch at noon of a day of 2026, processed and shown."""
        occurred_at = f"2026-{at}T12:00:00Z"
        self.pipeline.touch(touch(event_id, *identifiers, occurred_at=occurred_at), source)
        self.show()

    def show(self) -> None:
        """Process all, and put into ClickHouse what was published."""
        self.pipeline.run()
        for table in SHOWN:
            rows = [
                record.value
                for (topic, _), records in self.pipeline.logs.items()
                for record in records
                if topic == table.topic.name
            ]
            if rows:
                self.store.insert(table.name, *rows)

    def send(self, commands: Sequence[SplitCommand]) -> None:
        """See `deploy.operations.identity.split.Commands`."""
        for command in commands:
            self.sent.append(command)
            self.pipeline.publish(topics.LINK_REQUESTS.name, b"", messages.encode(command))

    def settle(self) -> bool:
        """See `deploy.operations.identity.split.Commands`."""
        if not self.stuck:
            self.settled += 1
            self.show()
        return not self.stuck

    def profile(self, kind: str, value: str) -> str:
        """Return the profile to which an identifier belongs now."""
        one = Identifier(kind, value)
        return self.log.profiles([one])[one]

"""A publisher that changes over to other topics while requests come in, and refuses none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from ingest.publishing.port import Message, NotAcknowledged, Publisher

log = structlog.get_logger(__name__)

_LOOK_S = 0.05
#: Longest time until what is being sent at the change is acknowledged.
_GRACE_S = 15.0


class SwitchingPublisher:
    """The publisher port, which delegates to the current publisher. For one event loop."""

    def __init__(self) -> None:
        self._without = "Kafka is not reachable yet, or touchline setup has not run"
        self._now: Publisher | None = None
        self._started = asyncio.Event()
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """See `Publisher`."""
        self._started.set()

    async def stop(self, grace_s: float) -> None:
        """See `Publisher`."""
        self._without = "the publisher is stopped"
        now, self._now = self._now, None
        if now is not None:
            await now.stop(grace_s)

    async def change(self, publisher: Publisher) -> None:
        """Publish with this publisher as soon as it can.

        The previous one goes on until then, and is stopped when what it has sent is acknowledged.
        """
        await self._started.wait()
        async with self._changing:
            await publisher.start()
            before = self._now
            try:
                while before is not None and publisher.problem is not None:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(_LOOK_S)
            except asyncio.CancelledError:
                await publisher.stop(0)
                raise
            self._now = publisher
            if before is not None:
                await before.stop(_GRACE_S)
                log.info("publisher_changed")

    def refuse(self, problem: str) -> None:
        """Report this problem as long as there is no publisher yet."""
        self._without = problem

    @property
    def problem(self) -> str | None:
        """See `Publisher`."""
        return self._without if self._now is None else self._now.problem

    async def publish(self, messages: Sequence[Message]) -> None:
        """See `Publisher`."""
        if self._now is None:
            raise NotAcknowledged(self._without)
        await self._now.publish(messages)

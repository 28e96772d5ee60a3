"""The gateway's publisher changes over to other topics and refuses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ingest.publishing.memory import MemoryPublisher
from ingest.publishing.port import Message, NotAcknowledged
from ingest.publishing.switching import SwitchingPublisher
from tests.support.publishing import event
from tests.support.waiting import until


class SlowPublisher(MemoryPublisher):
    """Acknowledges when it is told to, and waits for that when it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.acknowledged = asyncio.Event()
        self.stopped = False
        self._under_way = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        self._under_way += 1
        await self.acknowledged.wait()
        await super().publish(messages)
        self._under_way -= 1

    async def stop(self, grace_s: float) -> None:
        async with asyncio.timeout(grace_s):
            await until(lambda: not self._under_way)
        self.stopped = True
        await super().stop(grace_s)


async def test_without_a_publisher_nothing_is_taken() -> None:
    publisher = SwitchingPublisher()
    await publisher.start()
    assert "touchline setup" in (publisher.problem or "")
    with pytest.raises(NotAcknowledged):
        await publisher.publish([event(1)])
    publisher.refuse("the order of strength differs")
    assert publisher.problem == "the order of strength differs"


async def test_what_is_under_way_at_the_change_is_acknowledged() -> None:
    publisher, before, after = SwitchingPublisher(), SlowPublisher(), MemoryPublisher()
    await publisher.start()
    await publisher.change(before)
    sending = asyncio.create_task(publisher.publish([event(1)]))
    await asyncio.sleep(0)
    changing = asyncio.create_task(publisher.change(after))
    await until(lambda: after.problem is None)
    await publisher.publish([event(2)])
    assert not before.stopped
    before.acknowledged.set()
    await sending
    await changing
    assert before.stopped
    assert [len(one.records) for one in (before, after)] == [1, 1]


async def test_the_former_topics_serve_until_the_new_ones_can() -> None:
    publisher, before, after = SwitchingPublisher(), MemoryPublisher(), MemoryPublisher()
    await publisher.start()
    await publisher.change(before)
    after.outage = "not connected yet"
    changing = asyncio.create_task(publisher.change(after))
    await asyncio.sleep(0)
    await publisher.publish([event(1)])
    assert len(before.records) == 1
    after.outage = None
    await changing
    await publisher.publish([event(2)])
    assert len(after.records) == 1


async def test_stopping_stops_the_present_one() -> None:
    publisher, now = SwitchingPublisher(), MemoryPublisher()
    await publisher.start()
    await publisher.change(now)
    await publisher.stop(1)
    assert now.problem == "the publisher is not started"
    assert publisher.problem == "the publisher is stopped"

"""Events for a `CountingStage`, and what must have come of them."""

from __future__ import annotations

from collections import Counter

from processors.engine import changelogs
from tests.support.engine_harness import Deployment
from tests.support.engine_stages import CountingStage, unpack
from tests.support.waiting import until

KEYS = [b"key-%d" % number for number in range(40)]


def events(start: int, stop: int) -> list[tuple[bytes, bytes]]:
    return [(KEYS[number % len(KEYS)], b"event-%d" % number) for number in range(start, stop)]


def rows_changelog(made: Deployment) -> str:
    return changelogs(CountingStage(**made.stage), made.namespace)[0].name


async def logged(made: Deployment) -> dict[bytes, int]:
    """The last logged count of each key."""
    rows = await made.read(rows_changelog(made), full=True)
    return {record.key: unpack(record.value)[2] for record in rows}


async def exact(made: Deployment, total: int) -> None:
    """Every event counted once, in what was published and in what was logged."""
    expected = Counter(key for key, _ in events(0, total))

    async def published() -> bool:
        return await made.counts() == expected

    await until(published, 30)
    assert await logged(made) == expected


async def all_committed(made: Deployment) -> None:
    async def committed() -> bool:
        ends = await made.ends("touchpoints")
        return await made.committed() == [end or None for end in ends]

    await until(committed)

"""A worker whose disk is full stops, says so, and goes on when there is room."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from deploy.local.broker import EmbeddedBroker
from processors.engine import EXIT_HALTED
from tests.support.engine_harness import SHORT_SESSION, Deployment, deployment, until
from tests.support.small_disk import small_disk


def events(start: int, stop: int) -> list[tuple[bytes, bytes]]:
    return [(b"key-%d" % (number % 40), b"event-%d" % number) for number in range(start, stop)]


async def exact(made: Deployment, total: int) -> None:
    expected = Counter(key for key, _ in events(0, total))

    async def published() -> bool:
        return await made.counts() == expected

    await until(published, 30)


async def test_a_worker_on_a_full_disk_stops_with_a_message_and_goes_on_when_there_is_room(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "one", 32) as disk:
        async with deployment(
            embedded_broker.bootstrap_servers, "full", tmp_path, padding=4000
        ) as made:
            await made.send(events(0, 400))
            worker = made.start(**SHORT_SESSION)
            await exact(made, 400)
            disk.fill()
            await made.send(events(400, 800))
            assert await worker.ended() == EXIT_HALTED
            # Started again by whoever supervises it, while there is no room yet.
            disk.fill()
            again = made.start(**SHORT_SESSION)
            assert await again.ended() == EXIT_HALTED
            for one in (worker, again):
                text = one.log.read_text()
                (said,) = [line for line in text.splitlines() if "critical" in line]
                assert "disk_full" in said
                assert f"folder={tmp_path / 'one'}" in said
                assert "make room" in said
            committed = sum(offset or 0 for offset in await made.committed())
            assert committed <= sum((await made.counts()).values())
            disk.empty()
            last = made.start(**SHORT_SESSION)
            await exact(made, 800)
            assert await last.stop() == 0

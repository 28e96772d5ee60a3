"""A worker among those of a later release."""

from __future__ import annotations

from pathlib import Path

from deploy.local.broker import EmbeddedBroker
from processors.engine import EXIT_HALTED
from schemas.rows import FORMAT
from tests.support.engine_harness import SHORT_SESSION, deployment, until
from tests.support.engine_stages import pack

CHANGELOG = "touchline-counting-rows-changelog"
LATER = bytes([FORMAT + 1]) + pack(5, 6, 7, 8)[1:]


async def test_a_worker_that_is_given_rows_of_a_later_release_ends_and_says_which(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    async with deployment(embedded_broker.bootstrap_servers, "later", tmp_path) as made:
        await made.send([(b"key", b"event")])
        first = made.start(**SHORT_SESSION)

        async def counted() -> bool:
            return await made.counts() == {b"key": 1}

        await until(counted)
        assert await first.stop() == 0
        await made.send([(b"key", LATER)], CHANGELOG)
        worker = made.start(**SHORT_SESSION)
        assert await worker.ended() == EXIT_HALTED
        (said,) = [line for line in worker.log.read_text().splitlines() if "critical" in line]
        assert "written_by_newer_release" in said
        assert f"later.{CHANGELOG}/" in said
        assert f"format={FORMAT + 1}" in said
        assert "start that release again" in said
        assert await made.counts() == {b"key": 1}

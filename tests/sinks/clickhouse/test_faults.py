"""ClickHouse's faults under the real sink: nothing lost, nothing doubled, and it is said.

Every test sends rows, lets the fault stand for several attempts, and looks at the same things: what
is committed is there, what is not there is not committed, the age of what waits grows (the alert
`TouchlineSinkBehind` stands on it), and when the fault ends all of it goes in by itself. How long a
fault lasts makes no difference to the sink, which knows attempts and no time.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.config import SinkConfig
from sinks.clickhouse.migrate import migrate, migrations
from sinks.clickhouse.tables import PROFILES, REJECTED, TOUCHPOINTS
from tests.support import rows
from tests.support.clickhouse import LocalClickHouse
from tests.support.clickhouse_front import SECRET, Front, front_of
from tests.support.proxy import Blackhole, CutAfter, CutAnswer, Delay, Pass, Proxy, Refuse
from tests.support.sinking import Producer, Seen, Store, committed, running, stored, until
from tests.support.small_disk import small_disk

COUNT = 200


@dataclass
class Case:
    """A sink of touchpoints and the rejected, behind something that can fail."""

    config: SinkConfig
    store: Store
    producer: Producer
    seen: Seen
    sent: int = 0

    async def send(self, count: int = COUNT) -> None:
        ids = range(self.sent, self.sent + count)
        await self.producer.send(TOUCHPOINTS, *[rows.touchpoint(event_id=str(n)) for n in ids])
        self.sent += count

    @property
    def attempts(self) -> int:
        return self.seen.retries.count(("touchpoints", "insert"))

    async def stands(self, attempts: int = 3) -> None:
        """The fault is met so often, and what waits for it grows older."""
        begun, ages = self.attempts, len(self.seen.ages)
        await until(lambda: self.attempts >= begun + attempts)
        waiting = self.seen.ages[ages:]
        assert waiting[-1] > waiting[0] > 0

    async def nothing_committed_that_is_not_there(self) -> None:
        offsets = await committed(self.config, TOUCHPOINTS)
        assert sum(offset or 0 for offset in offsets.values()) <= stored(self.store, "touchpoints")

    async def whole(self) -> None:
        """All that was sent is in the view once, is committed, and nothing was set aside."""
        await until(lambda: stored(self.store, "touchpoints") == self.sent)
        found = self.store.view("touchpoints", "count() AS n, uniqExact(event_id) AS ids")
        assert found == [{"n": self.sent, "ids": self.sent}]
        assert self.store.view("rejected_touchpoints") == []
        assert self.seen.rejects == []
        await until(lambda: self.seen.ages[-1] == 0)

    async def all_committed(self) -> None:
        offsets = await committed(self.config, TOUCHPOINTS)
        assert sum(offset or 0 for offset in offsets.values()) == self.sent


@contextlib.asynccontextmanager
async def sink_at(
    url: str, config: SinkConfig, store: Store, producer: Producer
) -> AsyncIterator[Case]:
    at = replace(config.clickhouse, url=url, connect_timeout_s=1, timeout_s=1)
    one = replace(config, clickhouse=at, tables=(TOUCHPOINTS, REJECTED), max_backoff_s=0.2)
    case = Case(one, store, producer, Seen())
    async with running(one, case.seen):
        await case.send()
        await until(lambda: stored(store, "touchpoints") == COUNT)
        yield case
    await case.all_committed()


@pytest.fixture
def proxy(clickhouse: LocalClickHouse) -> Iterator[Proxy]:
    address = urlsplit(clickhouse.url)
    with Proxy(str(address.hostname), int(address.port or 0)) as proxy:
        yield proxy


@pytest.fixture
def front(clickhouse: LocalClickHouse) -> Iterator[Front]:
    with front_of(clickhouse.url) as front:
        yield front


@pytest.mark.parametrize("mode", [Refuse(), Blackhole(), CutAfter(50_000), Delay(30)])
async def test_nobody_answers_for_a_while(
    proxy: Proxy, config: SinkConfig, store: Store, producer: Producer, mode
):
    async with sink_at(f"http://{proxy.address}", config, store, producer) as case:
        with capture_logs() as logs:
            proxy.behave(mode)
            await case.send()
            await case.stands()
            await case.nothing_committed_that_is_not_there()
            proxy.behave(Pass())
            await case.whole()
        said = [entry for entry in logs if entry["event"] == "insert_failed"]
        warned = [entry["error"] for entry in said if entry["log_level"] == "warning"]
        assert warned == [f"ClickHouse at http://{proxy.address} does not answer"]
        assert [entry["event"] for entry in logs][-1] == "insert_recovered"


async def test_an_insert_that_was_done_but_not_answered_comes_twice_and_counts_once(
    proxy: Proxy, config: SinkConfig, store: Store, producer: Producer
):
    async with sink_at(f"http://{proxy.address}", config, store, producer) as case:
        store.server.query(f"SYSTEM STOP MERGES {store.storage}.touchpoints")
        proxy.behave(CutAnswer(asked=b"INSERT", times=3))
        await case.send()
        await case.whole()
        assert case.attempts >= 1
        (stored_rows,) = store.server.query(f"SELECT count() AS n FROM {store.storage}.touchpoints")
        assert stored_rows["n"] > case.sent


async def test_a_stop_in_a_black_hole_is_in_time_and_loses_nothing(
    proxy: Proxy, config: SinkConfig, store: Store, producer: Producer
):
    at = replace(config.clickhouse, url=f"http://{proxy.address}", timeout_s=60)
    one = replace(config, clickhouse=at, tables=(TOUCHPOINTS,), stop_grace_s=1)
    async with running(one) as seen:
        await producer.send(TOUCHPOINTS, rows.touchpoint())
        await until(lambda: seen.inserts)
        proxy.behave(Blackhole())
        await producer.send(TOUCHPOINTS, rows.touchpoint(event_id="e2"))
        await until(lambda: seen.ages and seen.ages[-1] > 0)
    offsets = await committed(one, TOUCHPOINTS)
    assert sum(offset or 0 for offset in offsets.values()) == 1
    proxy.behave(Pass())
    async with running(one):
        await until(lambda: stored(store, "touchpoints") == 2)


async def test_too_many_parts(
    clickhouse: LocalClickHouse, config: SinkConfig, store: Store, producer: Producer
):
    """The real error of the real engine: merges do not keep up."""
    table = f"{store.storage}.touchpoints"
    async with sink_at(clickhouse.url, config, store, producer) as case:
        store.server.query(f"SYSTEM STOP MERGES {table}")
        limits = "parts_to_throw_insert = 1, parts_to_delay_insert = 1"
        store.server.query(f"ALTER TABLE {table} MODIFY SETTING {limits}")
        with capture_logs() as logs:
            await case.send()
            await case.stands()
        warned = [entry["error"] for entry in logs if entry["log_level"] == "warning"]
        assert warned == [f"ClickHouse at {clickhouse.url} cannot now: TOO_MANY_PARTS (252)"]
        await case.nothing_committed_that_is_not_there()
        store.server.query(f"SYSTEM START MERGES {table}")
        store.server.query(
            f"ALTER TABLE {table} RESET SETTING parts_to_throw_insert, parts_to_delay_insert"
        )
        await case.whole()


async def test_a_full_disk_under_clickhouse(tmp_path: Path, config: SinkConfig, producer: Producer):
    with small_disk(tmp_path / "disk", 48) as disk:
        server = LocalClickHouse(disk.path / "clickhouse").start()
        try:
            client = ClickHouse(replace(config.clickhouse, url=server.url))
            migrate(client, config.namespace)
            store = Store(server, client, config.namespace)
            async with sink_at(server.url, config, store, producer) as case:
                disk.fill()
                with capture_logs() as logs:
                    await case.send()
                    await case.stands()
                said = [entry["error"] for entry in logs if entry["log_level"] == "warning"]
                assert said == [
                    f"ClickHouse at {server.url} refused the insert into touchpoints: "
                    "NOT_ENOUGH_SPACE (243)"
                ]
                await case.nothing_committed_that_is_not_there()
                disk.empty()
                await case.whole()
        finally:
            server.stop(signal.SIGKILL)


ANSWERS = {
    # What passes by itself.
    241: ("MEMORY_LIMIT_EXCEEDED", "cannot now"),
    242: ("TABLE_IS_READ_ONLY", "cannot now"),
    202: ("TOO_MANY_SIMULTANEOUS_QUERIES", "cannot now"),
    # What somebody has to act on.
    164: ("READONLY", "refused"),
    243: ("NOT_ENOUGH_SPACE", "refused"),
    497: ("ACCESS_DENIED", "refused"),
    # What nobody here has heard of.
    1002: ("UNKNOWN_EXCEPTION", "refused"),
    99_999: ("ERROR_OF_A_LATER_VERSION", "refused"),
}


@pytest.mark.parametrize("code", ANSWERS)
async def test_an_error_that_no_row_caused_is_waited_for_whatever_its_code(
    front: Front, config: SinkConfig, store: Store, producer: Producer, code: int
):
    name, how = ANSWERS[code]
    async with sink_at(front.url, config, store, producer) as case:
        with capture_logs() as logs:
            # Every other time the insert was done all the same.
            front.refuse(code, name, done=code % 2 == 0)
            await case.send()
            await case.stands()
            await case.nothing_committed_that_is_not_there()
            front.heal()
            await case.whole()
        warned = [entry["error"] for entry in logs if entry["log_level"] == "warning"]
        assert len(warned) == 1
        assert how in warned[0]
        assert f"{name} ({code})" in warned[0]
        assert SECRET not in str(logs)


async def test_a_table_that_disappears_holds_up_no_other(
    clickhouse: LocalClickHouse, config: SinkConfig, store: Store, producer: Producer
):
    table = f"{store.storage}.touchpoints"
    seen, two = Seen(), replace(config, tables=(TOUCHPOINTS, PROFILES), max_backoff_s=0.2)
    async with running(two, seen):
        case = Case(two, store, producer, seen)
        await case.send()
        await until(lambda: stored(store, "touchpoints") == COUNT)
        store.server.query(f"RENAME TABLE {table} TO {table}_away")
        with capture_logs() as logs:
            await case.send()
            await case.stands()
            await producer.send(PROFILES, rows.profile())
            await until(lambda: stored(store, "profiles") == 1)
        (warned,) = [entry["error"] for entry in logs if entry["log_level"] == "warning"]
        assert warned.endswith("refused the insert into touchpoints: UNKNOWN_TABLE (60)")
        store.server.query(f"RENAME TABLE {table}_away TO {table}")
        await case.whole()
    await case.all_committed()


async def test_a_database_of_an_older_version_is_waited_for(
    clickhouse: LocalClickHouse, config: SinkConfig, namespace: str, producer: Producer
):
    """The sink of a release that runs before its `setup`: what the tables do not have yet would
    be left out of the rows without a word."""
    client = ClickHouse(config.clickhouse)
    *older, newest = migrations()
    migrate(client, namespace, known=older)
    store = Store(clickhouse, client, namespace)
    seen, one = Seen(), replace(config, tables=(TOUCHPOINTS, REJECTED), max_backoff_s=0.2)
    with capture_logs() as logs:
        async with running(one, seen):
            case = Case(one, store, producer, seen)
            await case.send()
            await case.stands()
            assert stored(store, "touchpoints") == 0
            assert set((await committed(one, TOUCHPOINTS)).values()) <= {None}
            migrate(client, namespace)
            await case.whole()
    (warned,) = [entry["error"] for entry in logs if entry["log_level"] == "warning"]
    assert warned == (
        f"database {store.storage} lacks migration {newest.number:04d}_{newest.name}, which this "
        "version needs: run touchline setup"
    )
    await case.all_committed()

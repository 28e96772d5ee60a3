"""The whole system on a real broker: the production processes, shared out, killed and cut off."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import LocalKafka
from tests.kafka.system_answers import SEGMENTS, compare, disordered, source_of, touches
from tests.support.clickhouse import LocalClickHouse
from tests.support.system import Process, System
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def test_two_workers_and_two_sinks_make_the_same_of_disordered_input(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    events = touches(1500, 150, now)
    servers = kafka_broker.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace, SEGMENTS) as system:
        system.setup()
        workers = [system.worker("worker-1"), system.worker("worker-2")]
        sinks = [system.sink("sink-1"), system.sink("sink-2")]
        system.gateway()
        system.ready(*workers, *sinks)
        system.send(disordered(events))
        compare(system, events, now)
        for worker in workers:
            assert worker.count("processed_events_total", "trails") > 0, worker.name
            assert worker.count("processed_events_total", "profiles") > 0, worker.name
        assert sum(worker.count("redelivered_touchpoints_total") for worker in workers) == 300
        for sink in sinks:
            assert sink.count("sink_rows_total") > 0, sink.name
        system.end()


def test_workers_that_die_and_stop_lose_and_double_nothing(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    events = touches(1500, 150, now, seed=3)
    batches = disordered(events, seed=4)
    servers = kafka_broker.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace, SEGMENTS) as system:
        system.setup()
        one, two = system.worker("worker-1"), system.worker("worker-2")
        sink, gateway = system.sink(), system.gateway()
        system.ready(one, two, sink)
        half = len(batches) // 2
        with ThreadPoolExecutor(1) as sender:
            sending = sender.submit(system.send, batches[:half])
            wait_until(lambda: gateway.count("accepted_touchpoints_total") > 300)
            one.kill()
            system.ready(system.worker("worker-1"))
            sending.result()
            sending = sender.submit(system.send, batches[half:])
            wait_until(lambda: gateway.count("accepted_touchpoints_total") > 1200)
            assert two.stop() == 0
            sending.result()
        compare(system, events, now)
        system.end()


def test_sinks_wait_for_clickhouse_while_the_gateway_goes_on(
    kafka_broker: LocalKafka, own_clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    events = touches(600, 60, now, seed=5)
    batches = [(source_of(event), [event]) for event in events]
    servers = kafka_broker.bootstrap_servers
    with System(tmp_path / "system", servers, own_clickhouse, namespace, SEGMENTS) as system:
        system.setup()
        worker, sink = system.worker("worker"), system.sink()
        system.gateway()
        system.ready(worker, sink)
        system.send(batches[:200])
        own_clickhouse.stop(signal.SIGKILL)
        replies = [system.post(touch, source) for source, touch in batches[200:400]]
        assert all(reply.kept for reply in replies)
        wait_until(lambda: sink.count("sink_retries_total") > 0)
        assert sink.popen.poll() is None
        own_clickhouse.start()
        system.send(batches[400:])
        compare(system, events, now)
        told = [line for line in _lines(sink) if line["event"] == "insert_failed"]
        assert {line["error"] for line in told} == {
            f"ClickHouse at {own_clickhouse.url} does not answer"
        }
        assert len(told) <= 2  # not for each table at each attempt
        assert any(line["event"] == "insert_recovered" for line in _lines(sink))
        system.end()


def test_the_gateway_says_that_kafka_is_away_and_keeps_what_it_promised(
    own_kafka: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    events = touches(300, 30, now, seed=6)
    servers = own_kafka.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace, SEGMENTS) as system:
        system.setup()
        worker, sink = system.worker("worker"), system.sink()
        system.gateway()
        system.ready(worker, sink)
        waiting = [(source_of(event), [event]) for event in events]
        system.send(waiting[:100])
        own_kafka.kill()

        # Refused, and within a bound. What Kafka may have got all the same is sent again later.
        refused = waiting[100:105]
        for source, touch in refused:
            began = time.monotonic()
            reply = system.post(touch, source)
            assert reply.status == 503, reply
            assert int(reply.headers["Retry-After"]) >= 1
            assert time.monotonic() - began < 15
        # Those at work say so, those that start now wait.
        late = [system.worker("late-worker"), system.sink("late-sink")]
        wait_until(lambda: all(_says(process, "kafka_problem") for process in (worker, sink)))
        wait_until(lambda: all(_says(process, "kafka_unreachable") for process in late))

        own_kafka.start()
        system.send(waiting[100:])
        system.ready(*late, sink)
        compare(system, events, now)
        counted = "SELECT count() AS touches, uniqExact(event_id) AS events FROM {bi}.touchpoints"
        assert system.view(counted) == [{"touches": 300, "events": 300}]
        for process in (worker, sink, *late):
            troubles = [line for line in _lines(process) if line["event"].startswith("kafka_")]
            assert len(troubles) <= 15, troubles
        system.end()


def _lines(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log.read_text().splitlines()]


def _says(process: Process, event: str) -> bool:
    assert process.popen.poll() is None, process.log.read_text()
    return any(line["event"] == event for line in _lines(process))


@pytest.fixture(scope="module")
def small(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """One of everything, with a segment of those who came within the last minute."""
    segments = {"here_now": "last_touch: {type: page_viewed, within: 1m}"}
    folder = tmp_path_factory.mktemp("small") / "system"
    servers = kafka_broker.bootstrap_servers
    with System(folder, servers, clickhouse, "small", segments) as system:
        system.setup()
        worker, sink = system.worker("worker"), system.sink()
        system.gateway()
        system.ready(worker, sink)
        yield system
        system.end()


def touch(event_id: str, kind: str, at: datetime, *identifiers: tuple[str, str]) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "channel": "web",
        "type": kind,
        "identifiers": [{"kind": of, "value": value} for of, value in identifiers],
        "occurred_at": at.isoformat(),
    }


def test_a_customer_leaves_a_segment_by_time_alone(small: System) -> None:
    query = (
        "SELECT change, cause, changed_at FROM {bi}.segment_changes WHERE profile_id IN "
        "(SELECT profile_id FROM {bi}.identities WHERE value = 'brief') ORDER BY changed_at"
    )
    occurred = datetime.now(UTC) - timedelta(seconds=54)
    assert small.post([touch("brief-1", "page_viewed", occurred, ("line", "brief"))]).kept
    wait_until(lambda: len(small.view(query)) >= 2, 30)
    small.drained()
    entered, exited = small.view(query)
    assert (entered["change"], entered["cause"]) == ("entered", "event")
    assert (exited["change"], exited["cause"]) == ("exited", "time")
    left = datetime.fromisoformat(exited["changed_at"])
    assert timedelta(0) <= left - (occurred + timedelta(minutes=1)) < timedelta(seconds=5)


def test_what_a_browser_did_becomes_the_customers(small: System) -> None:
    now = datetime.now(UTC)
    browser, email = ("anonymous_id", "browser-1"), ("email", "ada@example.com")
    assert small.post([touch(f"visit-{n}", "page_viewed", now, browser) for n in range(3)]).kept
    mine = (
        "SELECT count() AS touches FROM {bi}.touchpoints WHERE profile_id = "
        "(SELECT profile_id FROM {bi}.identities WHERE kind = '%s' AND value = '%s')"
    )
    wait_until(lambda: small.view(mine % browser) == [{"touches": 3}], 30)
    assert small.view(mine % email) == [{"touches": 0}]
    assert small.run("profile", "show", "email:ada@example.com").returncode == 1
    named = touch("login-1", "identified", now, browser, email, ("customer_id", "1815"))
    assert small.post([named]).kept
    wait_until(lambda: small.view(mine % email) == [{"touches": 4}], 30)

    found = small.run("profile", "show", "email:Ada@Example.com")
    assert found.returncode == 0, found.stderr
    for text in ("1815", "ada@example.com", "browser-1", "page_viewed"):
        assert text in found.stdout
    unknown = small.run("profile", "show", "email:nobody@example.com")
    assert unknown.returncode == 1
    assert unknown.stdout == ""
    [line] = unknown.stderr.splitlines()
    assert line == "touchline: nobody is known by this email"

"""A rebuild beside the running system, on a real broker with the production processes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from deploy.config.sections import KafkaSettings
from deploy.config.settings import Settings, load
from deploy.kafka import control
from deploy.kafka.topics import connect
from deploy.kafka.topology import generation_topics
from deploy.local.kafka import LocalKafka
from schemas.identifiers import IdentityPolicy
from schemas.messages import SplitCommand
from schemas.topics import GLOBAL
from tests.kafka.system_answers import SEGMENTS, compare, disordered, source_of, touches
from tests.support.clickhouse import LocalClickHouse
from tests.support.system import Process, System, children
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

Touch = dict[str, Any]
SAME = ("email", "office@example.com")


def named(event_id: str, now: datetime, *identifiers: tuple[str, str]) -> Touch:
    """A touch that names a customer by these."""
    return {
        "event_id": event_id,
        "channel": "web",
        "type": "page_viewed",
        "identifiers": [{"kind": kind, "value": value} for kind, value in identifiers],
        "occurred_at": now.isoformat(timespec="milliseconds"),
    }


class Running:
    """A system with one of everything, and its worker and sink started again when they end."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.worker = system.worker("worker")
        self.sink = system.sink()
        self.gateway = system.gateway()
        system.ready(self.worker, self.sink)

    def sent(self, event: Touch) -> None:
        """Send a touch and wait until the views show it."""
        assert self.system.post([event], source_of(event)).kept
        counted = f"SELECT 1 FROM {{bi}}.touchpoints WHERE event_id = '{event['event_id']}'"
        wait_until(lambda: self.system.view(counted), 30)
        self.system.drained()

    def split(self, identifier: tuple[str, str]) -> SplitCommand:
        """Split an identifier from its person as an operator does."""
        done = self.system.run("identity", "split", ":".join(identifier), "--json")
        assert done.returncode == 0, done.stderr
        at_ms = int(datetime.now(UTC).timestamp() * 1000)
        return SplitCommand("s", lift=False, at_ms=at_ms, kind=identifier[0], value=identifier[1])

    def rebuild(self, *options: str) -> Process:
        """Rebuild to the end; what the operator sees is its log."""
        command = self.system.command("rebuild", "rebuild", *options)
        self.ended(command)
        return command

    def ended(self, command: Process) -> None:
        """Wait for a rebuild; what ends in order meanwhile is started again."""

        def ended() -> bool:
            [self.sink] = self.system.revive(self.sink)
            return command.popen.poll() is not None

        wait_until(ended, 120, instead=command.log.read_text)
        assert command.popen.returncode == 0, command.log.read_text()
        self.system.ready(self.worker, self.sink)

    def until(self, line: str, *options: str) -> Process:
        """Begin a rebuild, up to a line that it says."""
        command = self.system.command(f"rebuild-{line.split(maxsplit=1)[0]}", "rebuild", *options)

        def said() -> bool:
            assert command.popen.poll() is None, command.log.read_text()
            return line in command.log.read_text()

        wait_until(said, 120)
        return command

    @contextmanager
    def traffic(self, events: Sequence[Touch]) -> Iterator[None]:
        """Touches one after another, each taken at its first attempt, until all are sent."""
        over = Event()

        def send() -> int:
            refused = 0
            for event in events:
                refused += not self.system.post([event], source_of(event)).kept
                over.wait(0.25)
            return refused

        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send)
            yield
            over.set()
            assert sending.result() == 0, "the gateway has refused touches"


def present(system: System) -> control.Generation:
    return control.present_generation(load(system.file).settings)


def test_touches_go_on_while_a_rebuild_comes_to_the_same_people(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    events = touches(500, 50, now)
    servers = kafka_broker.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace, SEGMENTS) as system:
        system.setup()
        running = Running(system)
        steps: list[Touch | SplitCommand] = [
            named("join", now, ("customer_id", "boss"), SAME),
            named("conflict", now, ("customer_id", "clerk"), SAME),
            named("family", now, ("line", "father"), ("phone", "+81312345678")),
            named("couple", now, ("line", "mother"), ("email", "mother@example.com")),
        ]
        for step in steps:
            assert isinstance(step, dict)
            running.sent(step)
        steps.append(running.split(("phone", "+81312345678")))
        again = named("again", now, ("line", "father"), ("phone", "+81312345678"))
        running.sent(again)
        steps.append(again)
        system.send(disordered(events[:300]))
        compare(system, events[:300], now, steps)
        decisions = _decisions(system)

        stages = set(running.worker.metrics)
        with running.traffic(events[300:]):
            rebuilding = running.until("building epoch 2", "--delete-old")
            steps.append(running.split(("email", "mother@example.com")))
            running.ended(rebuilding)
        assert present(system).epoch == 2
        assert present(system).namespace == f"{namespace}.g2"
        compare(system, events, now, steps)
        split = ("mother@example.com", "mother")
        assert _decisions(system) >= decisions - {(*split, "holds", "")} | {
            (*split, "voided", "split")
        }
        _came_back(running, stages)
        left = {name for name in _topics(servers) if name.startswith(f"{namespace}.")}
        former = {name for name in left if not name.startswith(f"{namespace}.g2.")}
        assert former == {f"{namespace}.{topic.name}" for topic in GLOBAL}
        system.end()


def test_another_policy_and_number_of_partitions_take_effect_by_a_rebuild(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    events = touches(300, 30, now, seed=7)
    shared = [
        named("tablet-1", now, ("line", "one"), ("device_id", "tablet")),
        named("tablet-2", now, ("line", "two"), ("device_id", "tablet")),
    ]
    servers = kafka_broker.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace, SEGMENTS) as system:
        system.setup()
        running = Running(system)
        system.send(disordered(events))
        for touch in shared:
            running.sent(touch)
        compare(system, events, now, shared)

        system.configure(identity={"kinds": {"email": {"strength": 5}}})
        for command in ("check", "rebuild"):
            refused = system.run(command)
            assert refused.returncode == 1
            assert "'email' is now stronger than 'customer_id'" in refused.stderr
        first, other = system.gateway_url, system.gateway("other-gateway")
        wait_until(lambda: "identity_order_differs" in other.log.read_text(), 30)
        assert system.post(shared[:1], "web").status == 503
        assert other.stop() == 0
        system.gateway_url = first

        system.configure(
            identity={"kinds": {"device_id": {"joins": True}}}, kafka={"partitions": 6}
        )
        checked = system.run("check")
        assert checked.returncode == 1
        assert "identity.kinds.device_id.joins: is true, but the present epoch" in checked.stderr
        assert "has 4 partitions, but 6 are configured: touchline rebuild" in checked.stderr
        # A process that starts now works as the present epoch was built.
        assert running.worker.stop() == 0
        running.worker = system.worker("worker")
        system.ready(running.worker)
        compare(system, events, now, shared)

        planned = system.run("rebuild", "--dry-run").stdout
        assert "beside the running system" in planned
        assert "identity.kinds.device_id.joins: true" in planned
        running.rebuild()
        policy = IdentityPolicy().with_kinds({"device_id": {"joins": True}})
        compare(system, events, now, shared, policy)
        assert present(system).partitions == 6
        assert system.run("check").returncode == 0
        system.end()


def test_a_rebuild_that_is_broken_off_anywhere_does_no_harm_and_can_be_done_again(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    events = touches(200, 20, now, seed=9)
    servers = kafka_broker.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace, SEGMENTS) as system:
        # What a killed rebuild leaves is free once the sessions of its processes are over.
        system.configure(kafka={"session_timeout_s": 10})
        system.setup()
        running = Running(system)
        system.send(disordered(events[:100]))
        compare(system, events[:100], now)
        before = _topics(servers)

        building = running.until("building epoch 2")
        below = children(building.popen.pid)
        building.popen.send_signal(signal.SIGINT)
        assert building.popen.wait(60) == 130
        assert not any(map(_alive, below))
        assert _topics(servers) == before
        assert present(system).epoch == 1
        system.send(disordered(events[100:150]))
        compare(system, events[:150], now)

        # Killed as the switch begins: the next one goes on with it.
        running.until("switching to epoch 3").kill()
        system.send(disordered(events[150:]))
        done = running.rebuild()
        assert "going on with the switch to epoch 3" in done.log.read_text()
        assert present(system).epoch == 3
        compare(system, events, now)
        cleaned = system.run("rebuild", "--clean")
        assert cleaned.returncode == 0, cleaned.stderr
        assert {name for name in _topics(servers) if name.startswith(f"{namespace}.")} == {
            *(f"{namespace}.{topic.name}" for topic in GLOBAL),
            *(topic.name for topic in generation_topics(Settings(), f"{namespace}.g3")),
        }
        system.end()


@pytest.mark.parametrize("open_at_once", [False, True], ids=["in place", "beside"])
def test_after_the_loss_of_kafka_all_comes_back_from_what_is_stored(
    *,
    own_kafka: LocalKafka,
    kafka_broker: LocalKafka,
    clickhouse: LocalClickHouse,
    namespace: str,
    tmp_path: Path,
    open_at_once: bool,
) -> None:
    now = datetime.now(UTC)
    events = touches(200, 20, now, seed=11)
    servers = own_kafka.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace, SEGMENTS) as system:
        system.setup()
        running = Running(system)
        system.send(disordered(events[:150]))
        compare(system, events[:150], now)
        for process in (running.gateway, running.worker, running.sink):
            assert process.stop() == 0

        system.configure(kafka={"bootstrap_servers": kafka_broker.bootstrap_servers})
        system.setup()
        assert present(system).epoch == 2
        running = Running(system)
        if open_at_once:
            system.send(disordered(events[150:]))
        done = running.rebuild()
        if not open_at_once:
            assert "epoch 2 is shown: 150 touchpoints processed" in done.log.read_text()
            system.send(disordered(events[150:]))
        compare(system, events, now)
        assert present(system).epoch == (3 if open_at_once else 2)
        system.end()


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists()


def _decisions(system: System) -> set[tuple[str, ...]]:
    """Return the decisions about links and splits, as they stand."""
    links = "SELECT lead_value, value, state, reason FROM {bi}.identity_links"
    splits = "SELECT kind, value, action, toString(stands) FROM {bi}.identity_splits"
    return {tuple(row.values()) for sql in (links, splits) for row in system.view(sql)}


def _came_back(running: Running, stages: set[str]) -> None:
    """Every process of the former generation has ended in order, and started again."""
    lines = [json.loads(line) for line in running.worker.log.read_text().splitlines()]
    over = [line["process"] for line in lines if line["event"] == "epoch_over"]
    assert set(over) == stages
    ended = [line["detail"] for line in lines if line["event"] == "stage_ended"]
    assert all("ended with status 0" in detail for detail in ended), ended
    assert "epoch_over" in running.sink.log.read_text()


def _topics(servers: str) -> set[str]:
    cluster = connect(KafkaSettings(bootstrap_servers=servers))
    try:
        return cluster.names()
    finally:
        cluster.close()

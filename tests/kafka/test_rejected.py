"""Refusals on the whole system: kept, replayed once something was mended, and never twice."""

from __future__ import annotations

import contextlib
import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.config.settings import load
from deploy.kafka.control import present_generation
from deploy.kafka.operator_publisher import OperatorPublisher
from deploy.local.kafka import LocalKafka
from ingest.publishing.port import Message
from processors.engine.rejects import rejected
from processors.stage import Failure, Record
from schemas.topics import TOUCHPOINTS
from tests.support import rows
from tests.support.clickhouse import LocalClickHouse
from tests.support.system import System
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
PEOPLE, CALLS = 40, 1_400


def call(number: int, at: datetime) -> dict[str, Any]:
    """A call that names its customer by a number without a country code."""
    return {
        "event_id": f"call-{number}",
        "channel": "phone",
        "type": "call_completed",
        "identifiers": [{"kind": "phone", "value": f"03-1234-{1000 + number % PEOPLE}"}],
        "occurred_at": (at - timedelta(minutes=number)).isoformat(),
    }


def test_what_a_wrong_configuration_refused_is_accepted_once_by_replays_that_are_killed(
    kafka_broker: LocalKafka, clickhouse: LocalClickHouse, namespace: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    servers = kafka_broker.bootstrap_servers
    with System(tmp_path / "system", servers, clickhouse, namespace) as system:
        system.configure(identity={"default_region": None})
        system.setup()
        worker, sink = system.worker("worker"), system.sink()
        system.gateway()
        system.ready(worker, sink)
        calls = [call(number, now) for number in range(CALLS)]
        never = {**call(CALLS, now), "identifiers": [{"kind": "email", "value": "none"}]}
        for start in range(0, CALLS, 200):
            assert system.post(calls[start : start + 200]).kept
        assert system.post([never, call(CALLS + 1, now)]).kept
        return_touch(system, rows.touchpoint(event_id="failed", source="web"))
        system.drained()
        assert counts(system) == {"refused": CALLS + 3, "replayed": 0, "touches": 0}
        assert replayed(system)["replayable"] == 1, "the touch on which the stage failed"

        system.configure(identity={"default_region": "JP"})
        dry = replayed(system)
        assert (dry["refusals"], dry["replayable"], dry["stay"]) == (CALLS + 3, CALLS + 2, 1)
        assert counts(system) == {"refused": CALLS + 3, "replayed": 0, "touches": 0}

        broken_off(system)
        broken_off(system)
        last = system.run("rejected", "replay", "--apply")
        assert last.returncode == 0, last.stderr
        assert "all of it has gone through" in last.stdout or "none would come" in last.stdout
        system.drained()
        done = {"refused": CALLS + 3, "replayed": CALLS + 2, "touches": CALLS + 2}
        assert counts(system) == done
        assert people(system) == CALLS + 2

        again = replayed(system, "--apply")
        assert (again["refusals"], again["replayed"], again["stay"]) == (1, 0, 1)
        system.drained()
        assert counts(system) == done
        assert people(system) == CALLS + 2
        assert not any("03-1234" in text for text in system.logs().values())
        system.end()


def replayed(system: System, *arguments: str) -> dict[str, Any]:
    done = system.run("rejected", "replay", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    assert "03-1234" not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def broken_off(system: System) -> None:
    """A replay that is killed as soon as something of it has arrived."""
    before = counts(system)
    process = system.command("replay", "rejected", "replay", "--apply")
    with contextlib.suppress(ProcessLookupError):
        wait_until(lambda: counts(system) != before or process.popen.poll() is not None, 60, 0.02)
        process.popen.send_signal(signal.SIGKILL)
    process.popen.wait(20)
    system.processes.remove(process)


def return_touch(system: System, value: bytes) -> None:
    """The row of a touch that made the stage raise, as the engine makes it."""
    settings = load(system.file).settings
    shown = present_generation(settings)
    key = json.loads(value)["lead_id"].encode()
    record = Record(TOUCHPOINTS.name, 0, 10**9, 1_795_000_000_000, key, value)
    row = rejected(Failure.of(record, KeyError("x")), "trails", shown.epoch)
    with OperatorPublisher(settings.kafka, shown.namespace, "test") as publisher:
        publisher.publish([Message(row.topic, row.key, row.value)])


def counts(system: System) -> dict[str, int]:
    (found,) = system.view(
        "SELECT count() AS refused, countIf(replayed_at IS NOT NULL) AS replayed "
        "FROM {bi}.rejected_touchpoints"
    )
    (touches,) = system.view("SELECT count() AS touches FROM {bi}.touchpoints")
    return found | touches


def people(system: System) -> int:
    """Touches as the profiles have counted them: each once."""
    (found,) = system.view("SELECT sum(touchpoints) AS n FROM {bi}.profiles")
    return int(found["n"])

"""The short form of the fault harness, and what its rounds leave to chance.

The long form is `python -m tests.faults --minutes 60 --seed 1`; see docs/faults.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.kafka.topology import STAGE_NAMES
from tests.faults.faults import FAULTS
from tests.faults.harness import Bench, Round
from tests.faults.load import QUIET
from tests.faults.target import NAMES, Target, patience
from tests.faults.worker import STEPS, poison
from tests.support.kafka import require_kafka
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One for the whole file: what one test leaves behind must not harm the next one."""
    require_kafka()
    with Bench(tmp_path_factory.mktemp("faults")) as made:
        yield made
        assert made.retire() == []


@pytest.fixture
def target(bench: Bench) -> Target:
    return bench.fresh("1")


def good(done: Round) -> None:
    names = ",".join(done.faults)
    again = f'python -m tests.faults --minutes 1 --seed {done.seed} --together --faults "{names}"'
    assert not done.problems, f"{again}\n{done.problems}"


def test_a_stage_that_dies_after_any_step_loses_and_doubles_nothing(bench: Bench, target: Target):
    target.load.start(20)
    for step in STEPS:
        wishes = [target.plan.ask(stage, step) for stage in STAGE_NAMES]
        gone = target.until(
            lambda wishes=wishes: not any(wish.exists() for wish in wishes), patience(60)
        )
        assert gone, f"nobody came to {step}"
    assert target.load.stop(patience(60))
    assert target.drained(patience(60))
    found = bench.settled(target)
    assert (found.lost, found.doubled, found.differences) == (0, 0, {})


@pytest.mark.parametrize(
    ("seed", "names"),
    [
        ("1", ("kill worker", "kill sink")),
        ("2", ("lose all state", "poison")),
    ],
)
def test_two_faults_at_a_time_lose_and_double_nothing(
    bench: Bench, seed: str, names: tuple[str, ...]
):
    good(bench.round(seed, [FAULTS[name] for name in names]))


@pytest.mark.parametrize("stage", ["graph", "profiles"])
def test_a_record_that_a_stage_fails_at_is_set_aside_and_the_others_go_on(
    target: Target, stage: str
):
    """The rounds with poison test the same of the trails."""
    name, failures = f"{poison(stage)}1", _failures(target)
    bug = target.plan.plant(stage)
    now = datetime.now(UTC)
    ends = [("customer_id", name), ("email", f"{stage}@example.com")]
    other = [("customer_id", f"well-{stage}"), ("email", f"well-{stage}@example.com")]
    assert target.system.post([_visit(name, now, ends), _visit(f"well-{stage}", now, other)]).kept
    rejected = (
        "SELECT reason, payload FROM {bi}.rejected_touchpoints"
        f" WHERE detail = 'RuntimeError in {stage}'"
    )
    wait_until(lambda: target.system.view(rejected), patience(60))
    assert target.drained(patience(60))
    for row in target.system.view(rejected):
        assert row["reason"] == "processing_failed"
        assert name in row["payload"]
    assert _failures(target) > failures
    well = f"SELECT touchpoints FROM {{bi}}.profiles WHERE customer_id = 'well-{stage}'"
    assert target.system.view(well) == [{"touchpoints": 1}]
    bug.unlink()


def test_what_came_due_while_everything_was_down_happens_when_it_is_back(target: Target):
    due = datetime.now(UTC) + timedelta(seconds=10)
    who = [("customer_id", "sleeper")]
    assert target.system.post([_visit("sleeper-1", due - QUIET, who)]).kept
    assert target.drained(patience(60))
    changes = (
        "SELECT change, cause, changed_at FROM {bi}.segment_changes WHERE segment = 'quiet' AND"
        " profile_id IN (SELECT profile_id FROM {bi}.profiles WHERE customer_id = 'sleeper')"
    )
    assert target.system.view(changes) == []
    names = [name for name in NAMES if target.runs(name)]
    for name in names:
        target.kill(name)
    wait_until(lambda: datetime.now(UTC) > due, 30)
    for name in names:
        target.start(name)
    wait_until(lambda: target.system.view(changes), patience(60))
    [row] = target.system.view(changes)
    assert (row["change"], row["cause"]) == ("entered", "time")
    assert datetime.fromisoformat(row["changed_at"]) >= due


def _failures(target: Target) -> float:
    return sum(
        process.count("processing_failed_total")
        for process in target.system.processes
        if process.command == "worker"
    )


def _visit(event_id: str, at: datetime, identifiers: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "channel": "web",
        "type": "page_viewed",
        "identifiers": [{"kind": kind, "value": value} for kind, value in identifiers],
        "occurred_at": at.isoformat(timespec="milliseconds"),
    }

"""`touchline plan violations`: what is counted, chosen and printed, and what is not."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.main import run
from tests.support import rows
from tests.support.sinking import Store

Capture = pytest.CaptureFixture[str]
SECRET_OF_A_CUSTOMER = "zq-very-private"


@pytest.fixture(autouse=True)
def _deployment(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOUCHLINE_CONFIG", raising=False)
    monkeypatch.setenv("TOUCHLINE_NAMESPACE", store.namespace)
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__URL", store.server.url)


@pytest.fixture
def differing(store: Store) -> None:
    """Two events of one day and one of the next with one difference, and another of another."""

    def one(n: int, day: int, example: str = "", **changes: Any) -> bytes:
        return rows.violation(
            violation_id=str(uuid.UUID(int=n)),
            event_id=f"e{n}",
            received_at=f"2026-11-2{day}T12:00:00.000Z",
            payload_base64=base64.b64encode(example.encode()).decode(),
            **changes,
        )

    odd = {"source": "crm", "place": "properties.\x1b[2J", "rule": "additionalProperties"}
    example = json.dumps({"note": SECRET_OF_A_CUSTOMER})
    store.insert("plan_violations", one(1, 0), one(2, 0, example), one(3, 1), one(4, 2, **odd))


def test_nothing_differs_yet(capsys: Capture):
    assert run(["plan", "violations"]) == 0
    assert capsys.readouterr().out == "nothing differs from the tracking plan\n"


@pytest.mark.usefixtures("differing")
def test_what_was_expected_what_came_and_how_often(capsys: Capture):
    assert run(["plan", "violations"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    told = 'properties.plan: expected enum ["free", "pro"], came string'
    assert first.split("  ")[-4:-1] == ["shop", "order_completed", told]
    assert first.split()[0] == "3"
    assert "last 2026-11-21T12:00:00.000Z, event e2" in first
    assert "\x1b" not in second


@pytest.mark.usefixtures("differing")
def test_examples_are_shown_only_when_asked_for(capsys: Capture):
    for flags in ([], ["--json"]):
        assert run(["plan", "violations", *flags]) == 0
        assert SECRET_OF_A_CUSTOMER not in capsys.readouterr().out
        assert run(["plan", "violations", "--examples", *flags]) == 0
        assert SECRET_OF_A_CUSTOMER in capsys.readouterr().out


@pytest.mark.usefixtures("differing")
def test_it_is_chosen_by_source_and_time(capsys: Capture):
    for arguments, events in (
        (["--source", "crm"], [1]),
        (["--since", "2026-11-21"], [1, 1]),
        (["--source", "shop", "--since", "2026-11-22"], []),
        (["--limit", "1"], [3]),
    ):
        assert run(["plan", "violations", "--json", *arguments]) == 0
        assert [row["events"] for row in json.loads(capsys.readouterr().out)] == events

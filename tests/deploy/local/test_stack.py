"""`touchline up`: one command runs everything, keeps it, and leaves no process behind."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.config.settings import plain_environment
from deploy.kafka.topology import STAGE_NAMES
from deploy.local.readiness import wait_until

pytestmark = pytest.mark.integration

START_TIMEOUT = 180


class Up:
    """`touchline up` on a folder, without any configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> dict[str, Any]:
        self.process = self.spawn()
        stack = self.data / "stack.json"
        assert wait_until(lambda: stack.exists() or self.ended(), START_TIMEOUT)
        assert stack.exists(), self.output()
        described: dict[str, Any] = json.loads(stack.read_text())
        return described

    def spawn(self) -> subprocess.Popen[bytes]:
        with (self.folder / "up.out").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy", "up", "--data", str(self.data)],
                cwd=self.folder,
                env=plain_environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command, which finds the stack by its folder."""
        return subprocess.run(
            [sys.executable, "-m", "deploy", *arguments, "--data", str(self.data)],
            cwd=self.folder,
            env=plain_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def output(self) -> str:
        return (self.folder / "up.out").read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(120)

    def processes(self) -> list[int]:
        """All living processes below this one."""
        assert self.process is not None
        return descendants(self.process.pid)


def descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [p for child in map(int, children) for p in (child, *descendants(child))]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    runner = Up(tmp_path)
    yield runner
    if runner.process is not None and not runner.ended():
        left = runner.processes()
        runner.process.kill()
        runner.process.wait()
        for pid in filter(alive, left):
            os.kill(pid, signal.SIGKILL)


def post(url: str, body: dict[str, Any], authorization: str) -> int:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Authorization": authorization}
    )
    with urllib.request.urlopen(request, timeout=15) as response:
        return int(response.status)


def query(clickhouse: str, sql: str) -> str:
    with urllib.request.urlopen(clickhouse, sql.encode(), timeout=15) as response:
        text: str = response.read().decode().strip()
        return text


def send_both(gateway: str) -> None:
    key = "Basic " + base64.b64encode(b"dev:").decode()
    order = {
        "event": "Order Completed",
        "userId": "c-1",
        "anonymousId": "browser-1",
        "messageId": "order-1",
        "properties": {"revenue": 12.5, "currency": "USD"},
    }
    assert post(f"{gateway}/v1/track", order, key) == 200
    visit = {
        "event_id": "visit-1",
        "channel": "web",
        "type": "page_viewed",
        "occurred_at": "2026-01-01T00:00:00Z",
        "identifiers": [{"kind": "anonymous_id", "value": "browser-1"}],
    }
    assert post(f"{gateway}/v1/events", visit, "Bearer dev") == 202


PROFILES = (
    "SELECT customer_id, touchpoints, orders, toString(revenue['USD']) "
    "FROM touchline_bi.profiles FORMAT TSV"
)


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_up_runs_everything_and_keeps_it(up: Up, wait_for: Callable[..., None]):
    stack = up.start()
    assert set(stack) == {"gateway", "clickhouse", "kafka", "metrics"}
    assert set(stack["metrics"]) == {"gateway", *STAGE_NAMES, "sink"}
    for url in stack["metrics"].values():
        with urllib.request.urlopen(url, timeout=15) as response:
            assert b"touchline_build_info" in response.read()

    send_both(stack["gateway"])
    wait_for(lambda: query(stack["clickhouse"], PROFILES) == "c-1\t2\t1\t12.5", timeout=60)
    before = query(stack["clickhouse"], "SELECT * FROM touchline_bi.profiles FORMAT JSONEachRow")

    second = up.spawn()
    assert second.wait(60) == 1
    assert f"another `touchline up` (process {up.process.pid if up.process else 0})" in up.output()

    children = up.processes()
    assert len(children) >= len(["kafka", "clickhouse", "worker", *STAGE_NAMES, "sink", "gateway"])
    assert up.stop(signal.SIGINT) == 0
    assert not any(map(alive, children))
    assert not (up.data / "stack.json").exists()
    assert "the rest is lost" not in up.output()

    # The embedded broker has forgotten everything; what was stored makes the same profiles again.
    stack = up.start()
    assert "processing 2 stored touchpoints again" in up.output()
    after = query(stack["clickhouse"], "SELECT * FROM touchline_bi.profiles FORMAT JSONEachRow")
    unchanged = ("profile_id", "customer_id", "touchpoints", "orders", "revenue", "last_seen_at")
    assert [json.loads(after)[name] for name in unchanged] == [
        json.loads(before)[name] for name in unchanged
    ]
    send_both(stack["gateway"])  # a redelivery across the restart
    wait_for(
        lambda: "touchline_redelivered_touchpoints_total 2.0" in metrics_of(stack, "trails"),
        timeout=60,
    )
    assert query(stack["clickhouse"], PROFILES) == "c-1\t2\t1\t12.5"

    # What a split says is done is what the views show.
    assert "browser-1" in up.command("profile", "show", "customer_id:c-1").stdout
    done = up.command("identity", "split", "anonymous_id:browser-1")
    assert done.returncode == 0, done.stderr
    touches = "SELECT customer_id, touchpoints FROM touchline_bi.profiles ORDER BY 1 FORMAT TSV"
    assert query(stack["clickhouse"], touches) == "1\nc-1\t1"

    # Not even kill -9 leaves a process behind.
    children = up.processes()
    up.stop(signal.SIGKILL)
    wait_for(lambda: not any(map(alive, children)), timeout=60)


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_split_stands_when_everything_is_computed_again(up: Up, wait_for: Callable[..., None]):
    stack = up.start()

    def together(event_id: str) -> None:
        names = [("line", "father"), ("phone", "+81312345678")]
        touch = {
            "event_id": event_id,
            "channel": "web",
            "type": "page_viewed",
            "identifiers": [{"kind": kind, "value": value} for kind, value in names],
        }
        assert post(f"{stack['gateway']}/v1/events", touch, "Bearer dev") == 202

    def people() -> str:
        sql = (
            "SELECT uniqExact(profile_id), (SELECT count() FROM touchline_bi.touchpoints) "
            "FROM touchline_bi.identities FORMAT TSV"
        )
        return query(stack["clickhouse"], sql)

    together("visit-1")
    wait_for(lambda: people() == "1\t1", timeout=60)
    variables = {
        "TOUCHLINE_KAFKA__BOOTSTRAP_SERVERS": stack["kafka"],
        "TOUCHLINE_KAFKA__EMBEDDED": "true",
        "TOUCHLINE_CLICKHOUSE__URL": stack["clickhouse"],
    }
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "identity", "split", "phone:+81312345678"],
        cwd=up.folder,
        env={**plain_environment(), **variables},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wait_for(lambda: people() == "2\t1", timeout=30)
    assert up.stop() == 0

    stack = up.start()
    assert "deciding 1 links and 1 splits again" in up.output()
    assert people() == "2\t1"
    together("visit-2")
    wait_for(lambda: people() == "2\t2", timeout=60)
    assert up.stop() == 0


def metrics_of(stack: dict[str, Any], process: str) -> str:
    with urllib.request.urlopen(stack["metrics"][process], timeout=15) as response:
        text: str = response.read().decode()
        return text


CRM = """
tracking_plan: plan/
sources:
  crm: {connector: touchpoint, token: t, validate: warn}
  shop: {connector: touchpoint, token: s, validate: reject}
"""
CHOSEN = '{"properties": {"properties": {"required": ["plan"]}}}'


@pytest.mark.timeout(600)
def test_what_differs_from_the_tracking_plan_reaches_the_view_and_is_replayed_when_it_is_changed(
    up: Up, wait_for: Callable[..., None]
):
    (up.folder / "touchline.yaml").write_text(CRM)
    (up.folder / "plan").mkdir()
    plan = up.folder / "plan" / "plan_chosen.json"
    plan.write_text(CHOSEN)
    stack = up.start()
    chosen = {
        "event_id": "e1",
        "channel": "web",
        "type": "plan_chosen",
        "identifiers": [{"kind": "email", "value": "a@example.com"}],
        "properties": {"seats": 3},
    }
    assert post(f"{stack['gateway']}/v1/events", chosen, "Bearer t") == 202
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(f"{stack['gateway']}/v1/events", chosen, "Bearer s")
    seen = (
        "SELECT source, place, expected, came, action, events, example_event_id, "
        "JSONExtractInt(example, 'properties', 'seats') "
        "FROM touchline_bi.plan_violations ORDER BY source FORMAT CSV"
    )
    difference = '"properties.plan","a value","nothing"'
    expected = [
        f'"crm",{difference},"warned",1,"e1",3',
        f'"shop",{difference},"rejected",1,"e1",3',
    ]
    wait_for(lambda: query(stack["clickhouse"], seen).splitlines() == expected, timeout=60)
    told = up.command("plan", "violations", "--source", "shop")
    assert "properties.plan: expected a value, came nothing" in told.stdout, told.stderr
    touches = "SELECT source FROM touchline_bi.touchpoints ORDER BY source FORMAT TSV"
    assert query(stack["clickhouse"], touches) == "crm"

    # The plan was wrong: what it refused is taken up again.
    plan.write_text("{}")
    done = up.command("rejected", "replay", "--reason", "violates_plan", "--apply")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: query(stack["clickhouse"], touches) == "crm\nshop", timeout=60)
    assert up.stop() == 0

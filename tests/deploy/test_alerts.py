"""Each alert fires in its outage, is quiet before it, and resolves after it.

promtool evaluates the rules on series that are well for 30 minutes, in an outage for 30, and well
again for 90.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from deploy.runtime.metrics.catalogue import CATALOGUE, PREFIX

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
WELL, BROKEN, AFTER = 30, 30, 90
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool (Prometheus) is not installed"
)


def level(well: float | str, broken: float | str) -> str:
    """A gauge with one value when all is well and another in the outage; `_` is absent."""
    return f"{well}x{WELL - 1} {broken}x{BROKEN - 1} {well}x{AFTER}"


def counter(well: float, broken: float) -> str:
    """A counter that grows by so much a minute when all is well, and in the outage."""
    first = f"0+{well}x{WELL - 1}"
    second = f"{well * WELL}+{broken}x{BROKEN - 1}"
    return f"{first} {second} {well * WELL + broken * BROKEN}+{well}x{AFTER}"


KAFKA_UP = 'touchline_dependency_up{dependency="kafka",instance="a"}'
CLICKHOUSE_UP = 'touchline_dependency_up{dependency="clickhouse",instance="a"}'
WELL_SERIES = {KAFKA_UP: level(1, 1), CLICKHOUSE_UP: level(1, 1)}
_HTTP = "touchline_http_request_seconds_count"
_LAG = 'touchline_consumer_lag_records{consumer="touchline-sink-profiles",topic="profiles"}'
_COMMITTED = (
    'touchline_consumer_committed_records{consumer="touchline-sink-profiles",topic="profiles"}'
)
_PULL = 'touchline_pull_complete_timestamp_seconds{source="mail",connector="mailbox",instance="p",job="pull"}'  # noqa: E501
_RECEIVED = 'touchline_received_touchpoints_total{source="shop",connector="segment"}'


class Outage(NamedTuple):
    """The series of an outage, and the one alert that it raises."""

    alert: str
    series: Mapping[str, str]


OUTAGES = {
    "Kafka is away": Outage(
        "TouchlineKafkaUnreachable",
        {
            KAFKA_UP: level(1, 0),
            # All that follows from it raises no page of its own.
            'touchline_ready{job="worker",instance="a"}': level(1, 0),
            f'{_HTTP}{{route="/v1/track",method="POST",status="503"}}': counter(0, 100),
            f'{_HTTP}{{route="/v1/track",method="POST",status="200"}}': counter(100, 0),
            'touchline_publish_seconds_count{acknowledged="no"}': counter(0, 10),
            _LAG: level(0, "_"),
        },
    ),
    "ClickHouse is away": Outage(
        "TouchlineClickHouseUnreachable",
        {
            CLICKHOUSE_UP: level(1, 0),
            'touchline_ready{job="sink",instance="a"}': level(1, 0),
            'touchline_sink_unwritten_seconds{table="touchpoints"}': level(0, 900),
            _LAG: level(0, 5000),
            _COMMITTED: level(100, 100),
        },
    ),
    "a process has ended": Outage(
        "TouchlineProcessDown", {'up{job="sink",instance="s"}': level(1, 0)}
    ),
    "no targets": Outage("TouchlineTargetsVanished", {'up{job="worker"}': level(1, "_")}),
    "a process is not ready": Outage(
        "TouchlineNotReady", {'touchline_ready{job="gateway",instance="g"}': level(1, 0)}
    ),
    "a restart loop": Outage(
        "TouchlineRestartLoop",
        {'process_start_time_seconds{job="worker"}': f"0x{WELL - 1} 1+1x{BROKEN - 1} 30x{AFTER}"},
    ),
    "the gateway answers 500": Outage(
        "TouchlineErrorReplies",
        {
            f'{_HTTP}{{route="/hooks/{{source}}",method="POST",status="500"}}': counter(0, 10),
            f'{_HTTP}{{route="/v1/track",method="POST",status="200"}}': counter(100, 100),
        },
    ),
    "a partition without a leader": Outage(
        "TouchlineNotAcknowledged",
        {'touchline_publish_seconds_count{acknowledged="no"}': counter(0, 3)},
    ),
    "a rotated secret": Outage(
        "TouchlineUnauthorized",
        {
            'touchline_unauthorized_requests_total{source="shop",connector="segment"}': counter(
                0, 10
            ),
            _RECEIVED: counter(10, 0),
        },
    ),
    "an old key": Outage(
        "TouchlineUnknownKeys",
        {'touchline_unauthorized_requests_total{source="",connector="segment"}': counter(0, 60)},
    ),
    "many are refused": Outage(
        "TouchlineManyRejected",
        {
            'touchline_rejected_touchpoints_total{source="shop",reason="invalid"}': counter(0, 10),
            _RECEIVED: counter(100, 100),
        },
    ),
    "a site that differs from its plan": Outage(
        "TouchlineViolatesPlan",
        {
            'touchline_plan_violations_total{source="shop",type="x"}': counter(0, 10),
            _RECEIVED: counter(100, 100),
        },
    ),
    "a mailbox that cannot be read": Outage(
        # The time of the last complete pull: it stands still for 90 minutes, as minutes * 60.
        "TouchlinePullBehind",
        {_PULL: f"60+60x{WELL - 1} 1800x110 8400+60x39"},
    ),
    "a mailbox that was never read": Outage(
        "TouchlinePullBehind",
        {
            _PULL: f"0x{WELL + BROKEN + 40} 6060+60x50",
            'process_start_time_seconds{instance="p",job="pull"}': "1x200",
        },
    ),
    "a slow stage": Outage(
        "TouchlineStageBehind",
        {'touchline_lag_seconds{stage="trails",topic="touchpoints",partition="0"}': level(0, 300)},
    ),
    "a sink that is stopped": Outage(
        "TouchlineConsumerStuck", {_LAG: level(0, 50), _COMMITTED: level(100, 100)}
    ),
    "a slow sink": Outage(
        "TouchlineSinkBehind",
        {'touchline_sink_unwritten_seconds{table="touchpoints"}': level(0, 300)},
    ),
    "slow to queryable": Outage(
        "TouchlineSlowToQueryable",
        {
            'touchline_end_to_end_seconds_bucket{table="touchpoints",le="5.0"}': counter(100, 10),
            'touchline_end_to_end_seconds_bucket{table="touchpoints",le="10.0"}': counter(100, 100),
            'touchline_end_to_end_seconds_bucket{table="touchpoints",le="+Inf"}': counter(100, 100),
        },
    ),
    "records are gone": Outage(
        "TouchlineRecordsLost", {"touchline_input_gap_records_total": counter(0, 1)}
    ),
    "the first row that ClickHouse refuses": Outage(
        "TouchlineProcessingFails",
        {'touchline_sink_rejected_rows_total{table="touchpoints"}': counter(0, 1)},
    ),
    "a full disk": Outage(
        "TouchlineStateDiskFull",
        {
            'touchline_state_disk_free_bytes{instance="w"}': level(50, 5),
            'touchline_state_disk_size_bytes{instance="w"}': level(100, 100),
        },
    ),
}
#: Minutes at which an alert is looked for: before, at the end of the outage, and long after it.
_MOMENTS = {"well": 25, "broken": WELL + BROKEN - 3, "after": WELL + BROKEN + AFTER - 5}
_LATER = {"a mailbox that cannot be read": 110, "a mailbox that was never read": 80}
#: Jobs that are there, so that none of them is missing.
_TARGETS = {f'up{{job="{job}"}}': "1x200" for job in ("gateway", "worker", "sink")}


@needs_promtool
@pytest.mark.parametrize("name", OUTAGES)
def test_an_alert_fires_in_its_outage_alone_and_resolves(name: str, tmp_path: Path) -> None:
    outage = OUTAGES[name]
    series = {**_TARGETS, **WELL_SERIES, **outage.series}
    moments = dict(_MOMENTS, broken=_LATER.get(name, _MOMENTS["broken"]))
    checks = "\n".join(
        f"fires {when}: {alert}"
        for when in moments
        for alert in _firing(series, moments[when], tmp_path)
    )
    assert checks == f"fires broken: {outage.alert}"


def _firing(series: Mapping[str, str], minute: int, folder: Path) -> list[str]:
    """Return the names of the alerts that fire at a minute, as promtool sees them."""
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": '{alertname="none"}', "value": 1}],
                    }
                ],
            }
        ],
    }
    path = folder / "rules_test.yml"
    path.write_text(yaml.safe_dump(test), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    assert "got:" in told, told
    return sorted(re.findall(r'alertname="(\w+)"', told.partition("got:")[2]))


def test_every_alert_has_an_outage_here():
    assert {outage.alert for outage in OUTAGES.values()} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_means_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "action", "runbook_url"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert annotations["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    known = {PREFIX + metric.name for metric in CATALOGUE}
    for used in re.findall(r"touchline_\w+", rule["expr"]):
        assert re.sub(r"_(count|bucket|sum)$", "", used) in known | {used} & known
    assert re.search(rf"^## {name}$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)

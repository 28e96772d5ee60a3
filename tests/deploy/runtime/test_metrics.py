"""The catalogue behind the ports, and its exposition over HTTP."""

import ast
import re
import socket
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from deploy.local.readiness import fetch
from deploy.runtime.health import Health
from deploy.runtime.metrics.catalogue import COUNTS, LABELLED_COUNTS, LAG_RECORDS
from deploy.runtime.metrics.counters import EngineCounters, GatewayCounters, SinkCounters
from deploy.runtime.metrics.exposition import Exposition, text
from deploy.runtime.metrics.fresh_gauge import FreshGauge
from ingest.gateway.config import GatewayMetrics
from processors.engine import COUNTERS, EngineMetrics
from sinks.metrics import SinkMetrics

ROOT = Path(__file__).parents[3]


def test_each_implementation_is_the_port_of_its_package():
    gateway: GatewayMetrics = GatewayCounters(CollectorRegistry())
    engine: EngineMetrics = EngineCounters(CollectorRegistry())
    sink: SinkMetrics = SinkCounters(CollectorRegistry())
    assert gateway
    assert engine
    assert sink


def test_what_is_reported_is_exposed():
    registry = CollectorRegistry()
    engine = EngineCounters(registry)
    engine.batch("trails", 40, 0.1)
    engine.lag("trails", "touchpoints", 3, 7, 1.5)
    engine.count("links", 2)
    engine.count("conflicts.limit", 3)
    engine.count("segment.vip.entered", 5)
    engine.count("nobody.declared.this", 1)
    gateway = GatewayCounters(registry)
    gateway.published(0.01, acknowledged=True)
    gateway.bounded(1024)
    exposed = text(registry).decode()
    for line in (
        'touchline_processed_events_total{stage="trails"} 40.0',
        'touchline_lag_records{partition="3",stage="trails",topic="touchpoints"} 7.0',
        "touchline_links_total 2.0",
        'touchline_conflicts_total{reason="limit"} 3.0',
        'touchline_segment_changes_total{change="entered",segment="vip"} 5.0',
        'touchline_publish_seconds_count{acknowledged="yes"} 1.0',
        "touchline_publish_bound_bytes 1024.0",
    ):
        assert line in exposed.splitlines()


def test_every_counter_of_engine_and_stages_is_declared():
    assert set(COUNTERS) <= set(COUNTS)
    counted: set[str] = set()
    for path in (ROOT / "processors").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        counted |= set(re.findall(r'(?:counts\[|\.count\()f?"(\w+)', source))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.AnnAssign) and "counts" in ast.unparse(node.target):
                counted |= {
                    str(key.value)
                    for key in getattr(node.value, "keys", ())
                    if isinstance(key, ast.Constant)
                }
    assert {"redelivered", "links"} <= counted <= {*COUNTS, *LABELLED_COUNTS}


def test_a_lag_that_nobody_reports_any_more_is_absent_and_not_zero():
    now = [100.0]
    registry = CollectorRegistry()
    gauge = FreshGauge(LAG_RECORDS, registry, 15.0, lambda: now[0])
    gauge.set(("trails", "touchpoints", "0"), 0)
    now[0] += 10
    gauge.set(("trails", "touchpoints", "1"), 5)
    assert b'partition="0"' in text(registry)
    now[0] += 6
    exposed = text(registry).decode()
    assert 'partition="0"' not in exposed
    assert 'touchline_lag_records{partition="1",stage="trails",topic="touchpoints"} 5.0' in exposed


def test_the_series_of_what_is_configured_exist_at_zero():
    registry = CollectorRegistry()
    GatewayCounters(registry, [("shop", "segment"), ("support", "twilio")], ["segment"])
    EngineCounters(CollectorRegistry())
    sink = CollectorRegistry()
    SinkCounters(sink)
    exposed = text(registry).decode().splitlines()
    for line in (
        'touchline_accepted_touchpoints_total{connector="segment",source="shop"} 0.0',
        'touchline_rejected_touchpoints_total{connector="twilio",reason="invalid",source="support"} 0.0',  # noqa: E501
        'touchline_unauthorized_requests_total{connector="twilio",source="support"} 0.0',
        'touchline_unauthorized_requests_total{connector="segment",source=""} 0.0',
        'touchline_publish_seconds_count{acknowledged="no"} 0.0',
    ):
        assert line in exposed
    rejected = 'touchline_sink_rejected_rows_total{table="touchpoints"} 0.0'
    assert rejected in text(sink).decode().splitlines()


def test_a_process_serves_its_health_and_nothing_else():
    registry, health = CollectorRegistry(), Health()
    with Exposition("127.0.0.1", 0, health, registry) as exposition:
        base = f"http://127.0.0.1:{exposition.port}"
        assert b"touchline_ready 0.0" in get(f"{base}/metrics")[1]
        assert get(f"{base}/healthz")[0] == 200
        assert get(f"{base}/readyz") == (
            503, b'{"status": "not ready", "reason": "the process is starting"}',
        )  # fmt: skip
        health.started()
        assert get(f"{base}/readyz") == (200, b'{"status": "ready"}')
        assert b"touchline_ready 1.0" in get(f"{base}/metrics")[1]
        health.failed("kafka", "Kafka does not answer")
        assert get(f"{base}/readyz")[0] == 503
        assert b"touchline_ready 0.0" in get(f"{base}/metrics")[1]
        for path in ("/", "/anything", "/metrics/x", "/readyz/"):
            assert get(base + path)[0] == 404
    assert fetch(f"{base}/metrics") is None


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_address_of_ipv6_is_served():
    with Exposition("::1", 0, Health(), CollectorRegistry()) as exposition:
        assert get(f"http://[::1]:{exposition.port}/healthz")[0] == 200


def get(url: str) -> tuple[int, bytes]:
    """Return status and body."""
    try:
        with urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()

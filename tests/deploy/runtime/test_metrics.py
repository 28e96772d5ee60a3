"""The catalogue behind the ports, and its exposition over HTTP."""

import ast
import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from deploy.local.readiness import fetch
from deploy.runtime.metrics.catalogue import COUNTS, LABELLED_COUNTS
from deploy.runtime.metrics.counters import EngineCounters, GatewayCounters, SinkCounters
from deploy.runtime.metrics.exposition import Exposition, text
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


def test_a_process_says_over_http_when_it_is_ready():
    registry = CollectorRegistry()
    with Exposition("127.0.0.1", 0, registry) as exposition:
        url = f"http://127.0.0.1:{exposition.port}/metrics"
        assert b"touchline_ready 0.0" in (fetch(url) or b"")
        exposition.ready()
        assert b"touchline_ready 1.0" in (fetch(url) or b"")
    assert fetch(url) is None

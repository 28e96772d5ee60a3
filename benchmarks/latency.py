"""Latency from the request to ClickHouse's views showing the touch, at half of capacity.

Gateway, worker, sink, Kafka and ClickHouse run as in production, all on the same cores. Capacity is
measured first: the rate at which a number of touches goes through, until all of them are in
ClickHouse. Then, at half of that, a new customer touches every tenth of a second, and four times a
second the views of touchpoints and of profiles are queried for them.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import random
import tempfile
import time
import urllib.request
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import msgspec

from benchmarks.calls import TOKEN, Case, Keys, requests
from benchmarks.http_load import Answers, drive
from benchmarks.ours import Deployment, ready
from benchmarks.report import Cell, Table
from benchmarks.usage import running
from deploy.kafka.lag import BrokerLags, drain
from deploy.kafka.topology import readers
from deploy.local.kafka import LocalKafka
from deploy.local.ports import free_port
from deploy.local.readiness import wait_until
from schemas.identifiers import identifier_id
from schemas.times import now_ms, rfc3339
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig
from sinks.clickhouse.tables import databases
from tests.support.clickhouse import LocalClickHouse

_CASE = Case("events, 20", "/v1/events", 20)
#: Enough that the gateway never waits for them: each waits for Kafka most of the time.
_CONNECTIONS = 64
_WARM_UP = 5000
_PATIENCE = 60.0
_PROBE_EVERY = 0.1
_ASK_EVERY = 0.25
#: The most customers in a query, the oldest that are not shown yet: parameters are part of the URL.
_MOST_ASKED = 50
#: The queries of the views, each by the column that the view is sorted by.
_QUERIES = {
    "touchpoints": (
        "SELECT lead_value AS customer FROM {}.touchpoints"
        " WHERE lead_value IN {{customers:Array(String)}}"
        " AND occurred_at > now() - INTERVAL 10 MINUTE"
    ),
    "profiles": (
        "SELECT customer_id AS customer FROM {}.profiles WHERE profile_id IN {{ids:Array(UUID)}}"
    ),
}


def latency(seconds: float, capacity_events: int, customers: int, node: LocalKafka) -> Table:
    """Return p50 and p99 of both views."""
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="touchline-bench-latency-"))
        folder = Path(name)
        clickhouse = LocalClickHouse(folder / "clickhouse").start()
        stack.callback(clickhouse.stop)
        port = free_port()
        ours = _deployment(folder, node.bootstrap_servers, clickhouse.url, port)
        for part in ("gateway", "worker", "sink"):
            stack.enter_context(
                running(ours.command(part), ours.environment(), folder / f"{part}.log")
            )
        if not wait_until(lambda: ready(port), 60):
            raise SystemExit("the gateway did not become ready")
        store = ClickHouse(ClickHouseConfig(clickhouse.url))
        stack.callback(store.close)
        lags = BrokerLags(ours.settings.kafka, readers(ours.namespace))
        stack.callback(lags.close)
        load = stack.enter_context(_Load(port, customers))
        load.start(_WARM_UP, 2).result()
        _drained(lags)
        begin = time.monotonic()
        load.start(capacity_events, 1).result()
        _drained(lags)
        half = capacity_events / (time.monotonic() - begin) / 2
        under_way = load.start(half * seconds, seconds)
        probes = _Probes(port, store, databases(ours.namespace).bi)
        probes.run(seconds)
        under_way.result()
    return Table(
        f"From received to queryable at {half:,.0f} touchpoints/s, half of capacity",
        ("view", "touches", "p50 s", "p99 s", "longest s"),
        [_row(view, sorted(times)) for view, times in probes.seconds.items()],
    )


def _deployment(folder: Path, servers: str, clickhouse: str, port: int) -> Deployment:
    ours = Deployment(
        folder,
        servers,
        "latency",
        {
            "clickhouse": {"url": clickhouse},
            "gateway": {"port": port},
            "sources": {"crm": {"connector": "touchpoint", "token": TOKEN}},
        },
    )
    ours.setup()
    return ours


def _drained(lags: BrokerLags) -> None:
    if not drain(lags, 600, sleep=lambda _: time.sleep(0.5)):
        raise SystemExit("the pipeline did not take what the gateway accepted")


def _row(view: str, times: list[float]) -> list[Cell]:
    p50, p99 = (times[int(len(times) * share)] for share in (0.5, 0.99))
    return [view, len(times), p50, p99, times[-1]]


class _Load:
    """A load of touches of many customers, from a process of its own."""

    def __init__(self, port: int, customers: int) -> None:
        rng = random.Random(2)
        self._who = (int(customers * rng.random() ** 2) for _ in itertools.count())
        self._port = port
        self._process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    def __enter__(self) -> _Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def start(self, events: float, seconds: float) -> Future[Answers]:
        """Send this number of events over this time; more slowly if the gateway is slower."""
        calls = requests(_CASE, int(events), self._who, Keys.new())
        rate = len(calls) / seconds
        return self._process.submit(drive, self._port, calls, _CONNECTIONS, seconds, rate)


class _Probes:
    """New customers with one touch each, and the time until both views showed them."""

    def __init__(self, port: int, store: ClickHouse, database: str) -> None:
        self.seconds: dict[str, list[float]] = {view: [] for view in _QUERIES}
        self._port = port
        self._store = store
        self._database = database
        #: View -> customer -> start of the request.
        self._waiting: dict[str, dict[str, float]] = {view: {} for view in _QUERIES}

    def run(self, seconds: float) -> None:
        """Send touches for this time, and query until all are shown."""
        with ThreadPoolExecutor(1) as thread:
            touching = thread.submit(self._touch, seconds)
            deadline = time.monotonic() + seconds + _PATIENCE
            while not touching.done() or any(self._waiting.values()):
                asked = time.monotonic()
                for view in _QUERIES:
                    self._ask(view)
                if asked > deadline:
                    raise SystemExit("the views do not show every touch that was answered 2xx")
                time.sleep(max(0.0, asked + _ASK_EVERY - time.monotonic()))
            touching.result()

    def _touch(self, seconds: float) -> None:
        begin = time.monotonic()
        for number in range(int(seconds / _PROBE_EVERY)):
            time.sleep(max(0.0, begin + number * _PROBE_EVERY - time.monotonic()))
            customer = f"probe-{number}"
            began = time.monotonic()
            with urllib.request.urlopen(self._request(customer), timeout=30):
                for waiting in self._waiting.values():
                    waiting[customer] = began

    def _request(self, customer: str) -> urllib.request.Request:
        touch = {
            "event_id": customer,
            "channel": "web",
            "type": "page_viewed",
            "identifiers": [{"kind": "customer_id", "value": customer}],
            "occurred_at": rfc3339(now_ms()),
        }
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self._port}/v1/events"
        return urllib.request.Request(url, msgspec.json.encode(touch), headers)

    def _ask(self, view: str) -> None:
        waiting = self._waiting[view]
        customers = list(waiting)[:_MOST_ASKED]
        if customers:
            ids = [identifier_id("customer_id", customer) for customer in customers]
            parameters = {"customers": customers, "ids": ids}
            found = self._store.rows(_QUERIES[view].format(self._database), parameters)
            now = time.monotonic()
            for row in found:
                self.seconds[view].append(now - waiting.pop(row["customer"]))

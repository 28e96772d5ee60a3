"""The duration of a rebuild: all stored data through all stages, beside a running system.

    python -m benchmarks.rebuild [--touches N] [--customers N] [--partitions N]

Touchpoints are written directly into ClickHouse's table, their links are decided by the graph; then
`touchline rebuild` runs on a real Apache Kafka, with the worker and the sink of the present epoch
idle beside it, all on the same cores. A rebuild whose profiles do not add up is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.kafka import broker
from benchmarks.ours import Deployment
from benchmarks.usage import running
from benchmarks.workload import batches
from deploy.config.settings import Settings
from deploy.kafka.operator_publisher import OperatorPublisher
from deploy.operations.rebuild.progress import GenerationProgress
from deploy.runtime.supervisor import Child, Supervisor
from ingest.publishing.port import Message
from schemas import messages, topics, touchpoint_row
from schemas.identifiers import identifier_id
from schemas.messages import LinkRequest
from schemas.times import DAY_MS, now_ms, rfc3339
from schemas.touchpoint_row import SCHEMA_VERSION, TouchpointRow
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig
from sinks.clickhouse.tables import TOUCHPOINTS, databases
from tests.support.clickhouse import LocalClickHouse

SEGMENTS = Path(__file__).resolve().parent.parent / "deploy" / "segments"
_BATCH = 20_000
_SPAN_MS = 365 * DAY_MS
_PROPERTIES = json.dumps({"library": "analytics", "title": "A page of the shop"})
console = Console(width=110)

Identifier = tuple[str, str]


class Customers:
    """Touches of customers with several identifiers each, and the links that they make."""

    def __init__(self, count: int, touches: int, now_ms: int) -> None:
        self._count = count
        self._touches = touches
        self._begin_ms = now_ms - _SPAN_MS
        self._random = random.Random(1)
        self._linked: set[tuple[Identifier, Identifier]] = set()
        self.links: list[Message] = []
        self.bytes = 0

    def rows(self) -> Iterator[list[bytes]]:
        """Yield all touches in batches; afterwards `links` holds their requests to the graph."""
        batch: list[bytes] = []
        for number in range(self._touches):
            row = self._row(number)
            batch.append(touchpoint_row.encode(row))
            self.bytes += len(batch[-1])
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _row(self, number: int) -> TouchpointRow:
        rng = self._random
        at_ms = self._begin_ms + number * _SPAN_MS // self._touches
        at = rfc3339(at_ms)
        identifiers = self._identifiers(int(self._count * rng.random() ** 2))
        lead = identifiers[0]
        event_id = f"event-{number}"
        for other in identifiers[1:]:
            self._link(lead, other, event_id, at_ms)
        order = rng.random() < 0.1
        return TouchpointRow(
            event_id=event_id,
            channel="commerce" if order else "web",
            type="order_completed" if order else "page_viewed",
            source="benchmark",
            direction="inbound",
            occurred_at=at,
            received_at=at,
            lead_kind=lead[0],
            lead_value=lead[1],
            lead_id=identifier_id(*lead),
            identifiers={kind: [value] for kind, value in identifiers},
            value_amount=f"{rng.randrange(100, 20_000) / 100:.2f}" if order else None,
            value_currency="USD" if order else "",
            url="https://shop.example.com/products/1234",
            properties=_PROPERTIES,
            schema_version=SCHEMA_VERSION,
        )

    def _identifiers(self, customer: int) -> list[Identifier]:
        """Return the identifiers, the strongest first, of an anonymous or of a named visit."""
        rng = self._random
        browser = ("anonymous_id", f"browser-{customer}-{rng.randrange(3)}")
        if rng.random() < 0.3:
            return [browser]
        named: list[Identifier] = [("customer_id", f"c{customer}")]
        if rng.random() < 0.3:
            named.append(("email", f"c{customer}@example.com"))
        if rng.random() < 0.1:
            named.append(("phone", f"+81901{customer:07}"))
        return [*named, browser]

    def _link(self, lead: Identifier, other: Identifier, event_id: str, at_ms: int) -> None:
        if (lead, other) in self._linked:
            return
        self._linked.add((lead, other))
        request = LinkRequest(*lead, *other, "benchmark", event_id, at_ms, at_ms)
        key = identifier_id(*lead).encode()
        self.links.append(
            Message(topics.LINK_REQUESTS.name, key, messages.encode(request), None, 0)
        )


class Peaks:
    """The peak memory of each process, by its name."""

    def __init__(self) -> None:
        self.mb: dict[str, float] = {}

    def look(self, pid: int, name: str) -> None:
        """Record a process and its descendants, by the stage that they run."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            part = f"{name}: {_part(arguments)}"
            status = Path(f"/proc/{pid}/status").read_text()
            peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
            self.mb[part] = max(self.mb.get(part, 0.0), peak)
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                self.look(int(child), name)


def _part(arguments: list[str]) -> str:
    if "--stage" in arguments:
        return arguments[arguments.index("--stage") + 1]
    return next((one for one in ("worker", "sink", "rebuild") if one in arguments), "other")


def main() -> None:
    """Fill, rebuild, check, print."""
    options = _options()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="touchline-rebuild-")))
        node = stack.enter_context(broker(folder / "kafka"))
        server = LocalClickHouse(folder / "clickhouse").start()
        stack.callback(server.stop)
        ours = _deployment(folder, node.bootstrap_servers, server.url, options.partitions)
        environment = ours.environment()
        ours.setup()
        store = ClickHouse(ClickHouseConfig(server.url))
        customers = Customers(options.customers, options.touches, now_ms())
        database = databases("").storage
        for batch in customers.rows():
            store.insert(database, TOUCHPOINTS.name, batch)
        console.print(
            f"{options.touches:,} touchpoints of {customers.bytes / options.touches:.0f} bytes, "
            f"{options.customers:,} customers, {len(customers.links):,} links"
        )
        present = Supervisor(folder, lambda _: None)
        stack.callback(present.stop_together)
        for command in ("worker", "sink"):
            present.start(Child(command, (command,), environment))
        _decide(ours.settings, customers.links)
        times, peaks = _timed(ours, folder / "rebuild.out", present)
        _check(store, options.touches)
        store.close()
    _print(options.touches, times, peaks)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rebuild", description=__doc__)
    parser.add_argument("--touches", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=4)
    return parser.parse_args()


def _deployment(folder: Path, servers: str, clickhouse: str, partitions: int) -> Deployment:
    sections = {
        "kafka": {"bootstrap_servers": servers, "partitions": partitions},
        "clickhouse": {"url": clickhouse},
        "segments": str(SEGMENTS),
    }
    return Deployment(folder, servers, "", sections)


def _decide(settings: Settings, links: list[Message]) -> None:
    """Let the present epoch decide all links, so that they are stored."""
    with OperatorPublisher(settings.kafka, "", "touchline-benchmark") as publisher:
        for batch in batches(links, _BATCH):
            publisher.publish(batch)
    GenerationProgress(settings, "", lambda _: None).wait_until_drained()


def _timed(ours: Deployment, output: Path, present: Supervisor) -> tuple[dict[str, float], Peaks]:
    """Return the time of each line of output (s); the former epoch's processes switch over."""
    peaks, began = Peaks(), time.monotonic()
    said: dict[str, float] = {}
    with running(ours.command("rebuild"), ours.environment(), output) as process:
        while process.poll() is None:
            peaks.look(process.pid, "rebuild")
            present.check()
            for line in output.read_text().splitlines():
                said.setdefault(line, time.monotonic() - began)
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"touchline rebuild ended with status {process.returncode}")
    return said, peaks


def _check(store: ClickHouse, touches: int) -> None:
    found: dict[str, Any] = store.rows(
        f"SELECT sum(touchpoints) AS touches FROM {databases('').bi}.profiles"
    )[0]
    if int(found["touches"]) != touches:
        raise SystemExit(f"wrong result: {found} of {touches} touchpoints")


def _print(touches: int, said: dict[str, float], peaks: Peaks) -> None:
    for line, at in said.items():
        console.print(f"{at:8.1f} s  {line}", highlight=False)
    replayed = _at(said, "catching up") - _at(said, "deciding")
    shown = _at(said, "the views show")
    # Starting, draining and switching take the same time whatever the number of touches.
    ten_million = (shown - replayed + replayed / touches * 1e7) / 60
    table = Table(title="a rebuild beside a running system, all on the same cores")
    for column in ("", "value"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("seconds", f"{shown:,.0f}")
    table.add_row("of them replaying", f"{replayed:,.0f}")
    table.add_row("touchpoints a second, replaying", f"{touches / replayed:,.0f}")
    table.add_row("10 million would take", f"{ten_million:,.0f} minutes")
    for name, mb in sorted(peaks.mb.items()):
        table.add_row(f"peak MB, {name}", f"{mb:,.0f}")
    console.print(table)
    figures = {"touches": touches, "seconds": round(shown, 1), "replaying": round(replayed, 1)}
    print(json.dumps({**figures, "peak_mb": {name: round(mb) for name, mb in peaks.mb.items()}}))


def _at(said: dict[str, float], words: str) -> float:
    return next(at for line, at in said.items() if words in line)


if __name__ == "__main__":
    main()

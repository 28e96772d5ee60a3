"""`python -m benchmarks.identity`: the cost of identity, and of its hard cases.

The graph alone on one core, rows in RocksDB: links per second, memory and disk for each million of
identifiers, single decisions about people and kiosks that are linked with thousands; the cost of
identity per touch; a profile of many identifiers and touches; and, on a real Kafka, the time after
a restart until the first link is answered, with local state and without it.
"""

from __future__ import annotations

import argparse
import gc
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table

from benchmarks.kafka import Ends, broker
from benchmarks.ours import Deployment
from benchmarks.stages import BATCH, PARTITIONS, Alone
from benchmarks.usage import running
from benchmarks.workload import Event, batches, workload
from deploy.config.segments import load_segments
from processors.graph.stage import GraphStage
from processors.profiles.stage import ProfilesStage
from processors.stage import Output, Record
from processors.trails.stage import TrailsStage
from schemas import messages, topics, touchpoint_row
from schemas.identifiers import Identifier, IdentityPolicy, identifier_id
from schemas.messages import LinkMessage, LinkRequest, SplitCommand
from schemas.times import HOUR_MS, rfc3339
from schemas.touchpoint_row import SCHEMA_VERSION, TouchpointRow

SEGMENTS = Path(__file__).resolve().parent.parent / "deploy" / "segments"
NOW_MS = 1_780_000_000_000
console = Console(width=110)


class Figure(NamedTuple):
    """A line of the report."""

    what: str
    value: str
    note: str = ""


def main() -> None:
    """Run everything and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__)
    parser.add_argument("--identifiers", type=int, default=1_000_000)
    parser.add_argument("--touches", type=int, default=100_000)
    parser.add_argument("--without-kafka", action="store_true")
    options = parser.parse_args()
    gc.collect()
    gc.freeze()
    gc.disable()
    figures = [*hard_cases(), *price(options.touches), *large_profile()]
    figures += growth(options.identifiers)
    if not options.without_kafka:
        figures += restart(options.identifiers)
    table = Table(title="identity, one core")
    for column in ("", "", ""):
        table.add_column(column)
    for figure in figures:
        table.add_row(*figure)
    console.print(table)


class Graph(Alone):
    """The graph alone, fed with links."""

    def __init__(self) -> None:
        super().__init__(GraphStage(1))
        self.offset = 0

    def feed(self, links: Iterable[tuple[Identifier, Identifier]]) -> None:
        """Decide links without measuring them."""
        for batch in batches([request(*link) for link in links], BATCH):
            self.once(*batch)

    def once(self, *asked: LinkMessage) -> Figures:
        """Decide these together; return the time and the output."""
        records = [
            Record(topics.LINK_REQUESTS.name, 0, self.offset + i, NOW_MS, b"", messages.encode(one))
            for i, one in enumerate(asked)
        ]
        self.offset += len(records)
        before = self.seconds
        decision = self.take(records)
        size = sum(len(key) + len(row or b"") for key, row in decision.rows.items())
        return Figures((self.seconds - before) * 1000, len(decision.rows), size)


class Figures(NamedTuple):
    """CPU milliseconds, rows written and their bytes."""

    ms: float
    rows: int
    size: int


def request(lead: Identifier, other: Identifier) -> LinkRequest:
    """Return a link request of some touch."""
    return LinkRequest(*lead, *other, "web", "e", NOW_MS, NOW_MS)


def customer(number: int) -> Identifier:
    """Return a customer."""
    return Identifier("customer_id", f"customer-{number}")


def browser(number: int) -> Identifier:
    """Return a browser; ids are random, so that their order says nothing about their age."""
    return Identifier("anonymous_id", blake2b(b"%d" % number, digest_size=16).hexdigest())


# Hard cases ---------------------------------------------------------------------------------------


def hard_cases() -> Iterator[Figure]:
    """Measure single decisions about identifiers that are linked with many."""
    kiosk = Identifier("device_id", "kiosk")
    mail = Identifier("email", "a@example.com")
    with Graph() as graph:
        graph.feed((customer(0), browser(n)) for n in range(2000))
        graph.feed((mail, browser(2000 + n)) for n in range(2000))
        yield _case("one more browser of a person that was seen with 2,000", graph, customer(0))
        yield _figure(
            "two people with 2,000 browsers each become one",
            graph.once(request(customer(0), mail)),
        )
        yield _figure(
            "and are split again",
            graph.once(SplitCommand("s", False, NOW_MS, *mail)),
        )
    with Graph() as graph:
        graph.feed((customer(n), kiosk) for n in range(10_000))
        yield _figure(
            "one more person at a kiosk that was seen with 10,000",
            graph.once(request(customer(10_001), kiosk)),
        )
        graph.feed((kiosk, browser(n)) for n in range(5000))
        yield _case("one more browser at the kiosk that had 5,000", graph, kiosk)
        graph.feed([(customer(1), mail)])
        yield _figure(
            "a person who was at the kiosk gets an e-mail address",
            graph.once(request(customer(2), Identifier("email", "b@example.com"))),
        )
    with Graph() as graph:
        kinds = ("email", "phone", "line", "facebook", "instagram", "x", "card", "club")
        many = [Identifier(kind, f"{kind}-{n}") for kind in kinds for n in range(5)]
        graph.feed((customer(0), one) for one in many[:19])
        graph.feed((many[0], one) for one in many[19:])
        graph.feed((customer(0), browser(n)) for n in range(60))
        yield _figure(
            "a person of 100 identifiers is split",
            graph.once(SplitCommand("s", False, NOW_MS, *customer(0))),
        )


def _case(what: str, graph: Graph, lead: Identifier) -> Figure:
    """Return the mean of many decisions, because now and then one displaces another."""
    took = [graph.once(request(lead, browser(1_000_000 + n * 7919))) for n in range(200)]
    count = len(took)
    mean = Figures(*(sum(column) / count for column in zip(*took, strict=True)))
    return _figure(what, mean, f"mean of {count}, longest {max(one.ms for one in took):.1f} ms")


def _figure(what: str, figures: Figures, note: str = "") -> Figure:
    rows = f"{figures.rows:.0f} rows, {figures.size / 1000:.1f} KB"
    return Figure(what, f"{figures.ms:.2f} ms", f"{rows} {note}".strip())


# Growth -------------------------------------------------------------------------------------------


def growth(identifiers: int) -> Iterator[Figure]:
    """Measure new customers with an e-mail address, a device and a browser each.

    `identifiers` is the total number.
    """
    people = identifiers // 4
    with Graph() as graph:
        before = _resident_mb()
        for batch in batches(range(people), BATCH // 3):
            graph.feed(link for number in batch for link in _of_customer(number))
        links = 3 * people
        disk = sum(file.stat().st_size for file in graph.path.rglob("*") if file.is_file()) / 1e6
        memory = _resident_mb() - before
    yield Figure("links per second", f"{links / graph.seconds:,.0f}", f"{links:,} of new customers")
    per_million = 1e6 / (4 * people)
    yield Figure("memory for a million identifiers", f"{memory * per_million:.0f} MB")
    yield Figure("disk for a million identifiers", f"{disk * per_million:.0f} MB")


def _of_customer(number: int) -> Iterator[tuple[Identifier, Identifier]]:
    one = customer(number)
    yield one, Identifier("email", f"{one.value}@example.com")
    yield one, Identifier("device_id", f"device-of-{one.value}")
    yield one, browser(number)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


# Price --------------------------------------------------------------------------------------------


def price(count: int) -> Iterator[Figure]:
    """Measure trails and graph on the same touches, with and without second identifiers."""
    events = workload(count, count // 10, NOW_MS).readable()
    alone = [_only_lead(event) for event in events]
    plain, _ = _trails(alone)
    first, answers = _trails(events)
    known, _ = _trails(events, answers)
    yield Figure("trails, touches with one identifier", f"{plain:.1f} µs a touch")
    yield Figure("trails and graph, every second identifier new", f"{first:.1f} µs a touch")
    yield Figure("trails, every link known", f"{known:.1f} µs a touch")


def _only_lead(event: Event) -> Event:
    row = touchpoint_row.decode(event.value)
    row.identifiers = {row.lead_kind: [row.lead_value]}
    return Event(event.key, touchpoint_row.encode(row))


def _trails(
    events: Sequence[Event], answers: Sequence[Record] = ()
) -> tuple[float, Sequence[Record]]:
    """Return CPU µs a touch; the graph's answers are processed, or requested if there are none."""
    with Alone(TrailsStage(1, PARTITIONS)) as trails, Graph() as graph:
        for batch in batches(answers, BATCH):
            trails.take(batch)
        trails.seconds, links, told = 0.0, 0, list(answers)
        for start in range(0, len(events), BATCH):
            records = [
                Record(topics.TOUCHPOINTS.name, 0, start + i, NOW_MS, event.key, event.value)
                for i, event in enumerate(events[start : start + BATCH])
            ]
            asked = _records(trails.take(records).outputs, topics.LINK_REQUESTS.name, links)
            links += len(asked)
            if asked:
                outputs = graph.take(asked).outputs
                said = _records(outputs, topics.ASSIGNMENTS.name, len(told))
                trails.take(said)
                told += said
        return (trails.seconds + graph.seconds) / len(events) * 1e6, told


def _records(outputs: Iterable[Output], topic: str, first: int) -> list[Record]:
    mine = [output for output in outputs if output.topic == topic]
    return [
        Record(topic, 0, first + i, NOW_MS, output.key, output.value)
        for i, output in enumerate(mine)
    ]


# A large profile ----------------------------------------------------------------------------------


def large_profile(identifiers: int = 100, touches: int = 10_000) -> Iterator[Figure]:
    """Measure one more touch of a person with 100 identifiers and 10,000 touches over a year."""
    segments = load_segments(SEGMENTS)
    profiles = ProfilesStage.of(1, PARTITIONS, segments, IdentityPolicy())
    profile_id = identifier_id(*customer(0))
    with Alone(TrailsStage(1, PARTITIONS)) as trails, Alone(profiles) as stage:
        offset, size = 0, 0
        for batch in batches(range(touches), BATCH):
            published = trails.take(_touches(batch, identifiers, offset)).outputs
            offset += len(batch)
            moved = _moved(published, profile_id)
            stage.take(_records(moved, topics.TRAILS.name, offset))
        trails.seconds = stage.seconds = 0.0
        for number in range(100):
            published = trails.take(_touches([touches + number], identifiers, offset)).outputs
            offset += 1
            moved = _moved(published, profile_id)
            decision = stage.take(_records(moved, topics.TRAILS.name, 10 * offset))
            size = max(map(len, (row or b"" for row in decision.rows.values())))
    what = f"one more touch of a person of {identifiers} identifiers and {touches:,} touches"
    milliseconds = (trails.seconds + stage.seconds) * 10
    yield Figure(what, f"{milliseconds:.2f} ms", f"its row in profiles: {size / 1000:.0f} KB")


def _touches(numbers: Iterable[int], identifiers: int, offset: int) -> list[Record]:
    found = []
    for number in numbers:
        lead = browser(number % identifiers)
        lead_id = identifier_id(*lead)
        row = TouchpointRow(
            event_id=f"e{number}",
            channel=("web", "email", "phone")[number % 3],
            type=("page_viewed", "email_opened", "call_completed")[number % 3],
            source="web",
            direction="inbound",
            occurred_at=rfc3339(NOW_MS - (number * 52 % 8760) * HOUR_MS),
            received_at=rfc3339(NOW_MS),
            lead_kind=lead.kind,
            lead_value=lead.value,
            lead_id=lead_id,
            identifiers={lead.kind: [lead.value]},
            properties="{}",
            schema_version=SCHEMA_VERSION,
        )
        value = touchpoint_row.encode(row)
        at = offset + len(found)
        found.append(Record(topics.TOUCHPOINTS.name, 0, at, NOW_MS, lead_id.encode(), value))
    return found


def _moved(published: Iterable[Output], profile_id: str) -> Iterator[Output]:
    """Yield the trails as published once their identifiers belong to this profile."""
    for output in published:
        if output.topic == topics.TRAILS.name:
            yield output._replace(key=profile_id.encode())


# Restart ------------------------------------------------------------------------------------------


def restart(identifiers: int) -> Iterator[Figure]:
    """Measure the stage graph as a process: from its start to its first answer."""
    people = identifiers // 4
    with tempfile.TemporaryDirectory(prefix="touchline-bench-identity-") as name:
        folder = Path(name)
        with broker(folder / "kafka") as node:
            ours = Deployment(folder, node.bootstrap_servers, "")
            ours.create()
            links = [link for number in range(people) for link in _of_customer(number)]
            _publish(ours, (request(*link) for link in links))
            first = _answered(ours, "state", len(links))
            yield Figure(
                "links per second through Kafka",
                f"{len(links) / first:,.0f}",
                "logged, published, committed; start of the process included",
            )
            for what, state in (("kept", "state"), ("lost", "other-state")):
                _publish(ours, [request(customer(-1), browser(-hash(state) % 1000))])
                seconds = _answered(ours, state, 1)
                yield Figure(
                    f"first answer after a restart, local state {what}",
                    f"{seconds:.1f} s",
                    f"{4 * people:,} identifiers",
                )


def _publish(ours: Deployment, asked: Iterable[LinkMessage]) -> None:
    producer: Any = KafkaProducer(
        bootstrap_servers=ours.settings.kafka.bootstrap_servers, acks="all", linger_ms=20
    )
    for one in asked:
        producer.send(ours.topic(topics.LINK_REQUESTS), messages.encode(one), partition=0)
    producer.flush()
    producer.close()


def _answered(ours: Deployment, state: str, count: int) -> float:
    """Return the seconds from the process's start until `count` more decisions are published."""
    ends = Ends(ours.settings.kafka.bootstrap_servers, [ours.topic(topics.LINK_VERDICTS)])
    goal = ends.count() + count
    command = ours.command("worker", "--stage", "graph")
    start = time.monotonic()
    with running(command, ours.environment(state), ours.folder / "output") as process:
        while ends.count() < goal:
            if process.poll() is not None or time.monotonic() > start + 1800:
                raise SystemExit("the graph did not answer every link")
            time.sleep(0.05)
        seconds = time.monotonic() - start
    ends.close()
    return seconds


if __name__ == "__main__":
    main()

"""`make bench`: Touchline's throughput and latency, alone and against its peers.

    python -m benchmarks [--full] [--only PART,...] [--json FILE]

Without --full it takes a few minutes: fewer events and one regime. Tables are Markdown, as in
docs/benchmarks.md, which describes the measurement of each.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import compare, gateway, growth, latency, recovery, sink, stages
from benchmarks.contenders import MAKERS
from benchmarks.kafka import broker
from benchmarks.ours import SEGMENTS
from benchmarks.report import Table, write_json
from benchmarks.workload import REGIMES, Regime, workload
from deploy.local.kafka import LocalKafka
from schemas import times


class Options(NamedTuple):
    """The options of the command; None selects the part's own size."""

    full: bool
    events: int | None
    customers: int
    contenders: Sequence[str]
    regimes: Sequence[Regime]
    repeat: int
    profiles: Sequence[int]

    def size(self, short: int, full: int) -> int:
        """Return the number of events of a part."""
        return self.events or (full if self.full else short)


def main() -> None:
    """Run the selected parts and print their tables."""
    parser = _parser()
    arguments = parser.parse_args()
    parts = arguments.only or [name for name in PARTS if arguments.full or name not in _LONG]
    options = Options(
        arguments.full,
        arguments.events,
        arguments.customers,
        arguments.contenders or list(MAKERS),
        arguments.regimes or (REGIMES if arguments.full else ("bursty",)),
        arguments.repeat or (3 if arguments.full else 1),
        arguments.profiles,
    )
    tables = []
    for part in parts:
        for table in PARTS[part](options):
            print(f"\n{table.markdown()}", flush=True)
            tables.append(table)
    if arguments.json:
        write_json(arguments.json, tables)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all regimes, sizes and parts")
    parser.add_argument("--only", type=_names(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--contenders", type=_names(MAKERS), help=f"of {', '.join(MAKERS)}")
    parser.add_argument("--regimes", type=_names(REGIMES), help=f"of {', '.join(REGIMES)}")
    parser.add_argument("--events", type=int, help="instead of each part's own number")
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, help="runs of which the median is taken")
    parser.add_argument("--profiles", type=_numbers, default=(), help="sizes of the part state")
    parser.add_argument("--json", type=Path, help="a file for the same figures as JSON")
    return parser


def _names(known: Sequence[str] | dict[str, object]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
        return found

    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


@contextlib.contextmanager
def _kafka() -> Iterator[LocalKafka]:
    with (
        tempfile.TemporaryDirectory(prefix="touchline-bench-kafka-") as folder,
        broker(Path(folder) / "kafka") as node,
    ):
        yield node


# Parts --------------------------------------------------------------------------------------------


def _stages(options: Options) -> Iterator[Table]:
    """Measure each stage by itself."""
    now_ms = times.now_ms()
    for regime in options.regimes:
        events = workload(
            options.size(100_000, 300_000), options.customers, now_ms, regime
        ).readable()
        timings = stages.measure(events, now_ms, SEGMENTS)
        rows = [[t.name, t.records, t.per_second, t.microseconds, t.note] for t in timings]
        columns = ("stage", "records", "records/s", "µs a record", "")
        yield Table(f"One stage at a time, one core, {regime}", columns, rows)


def _compare(options: Options) -> Iterator[Table]:
    """Compare ours and the peers."""
    plan = compare.Plan(
        options.contenders,
        options.size(100_000, 500_000),
        min(options.size(10_000, 30_000), 30_000),
        options.customers,
        options.repeat,
    )
    wrong: list[str] = []
    with _kafka() as node:
        for regime in options.regimes:
            runs = list(compare.compare(plan, regime, node, wrong))
            if runs:
                yield compare.table(regime, runs)
    if wrong:
        raise SystemExit("\n".join(wrong))


def _gateway(options: Options) -> Iterator[Table]:
    """Measure the gateway with requests, single and in batches."""
    seconds = 10.0 if options.full else 4.0
    yield gateway.run(gateway.Plan(seconds, options.customers))


def _sink(options: Options) -> Iterator[Table]:
    """Measure inserts of rows into ClickHouse."""
    yield sink.run(options.size(100_000, 500_000), options.customers)


def _recovery(options: Options) -> Iterator[Table]:
    """Measure the recovery of a worker without its local state."""
    with _kafka() as node:
        yield recovery.recovery(options.size(30_000, 1_000_000), node)


def _latency(options: Options) -> Iterator[Table]:
    """Measure the time until a touch can be queried."""
    with _kafka() as node:
        seconds, events = (120, 100_000) if options.full else (20, 20_000)
        yield latency.latency(seconds, options.events or events, options.customers, node)


def _workers(options: Options) -> Iterator[Table]:
    """Measure one worker, then two workers."""
    with _kafka() as node:
        yield growth.workers(options.size(50_000, 300_000), options.customers, node)


def _state(options: Options) -> Iterator[Table]:
    """Measure a hundred thousand profiles, then a million profiles."""
    sizes = options.profiles or ((100_000, 1_000_000) if options.full else (10_000, 100_000))
    with _kafka() as node:
        yield growth.state(sizes, options.size(50_000, 200_000), node)


PARTS: dict[str, Callable[[Options], Iterator[Table]]] = {
    "stages": _stages,
    "compare": _compare,
    "gateway": _gateway,
    "sink": _sink,
    "latency": _latency,
    "recovery": _recovery,
    "workers": _workers,
    "state": _state,
}
#: Run only in the full form, or when named.
_LONG = ("workers", "state")


if __name__ == "__main__":
    main()

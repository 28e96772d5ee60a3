"""Growth: throughput by number of workers, and throughput and memory by size of state."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contenders import Contender, pinned, touchline
from benchmarks.kafka import Ends, delete, topics_of
from benchmarks.measure import Measured, load, measure
from benchmarks.reference import WrongResult, check, published
from benchmarks.report import Cell, Table
from benchmarks.workload import Workload, once_each, workload
from deploy.local.kafka import LocalKafka
from schemas import times


def workers(events: int, customers: int, node: LocalKafka) -> Table:
    """Measure one worker on one core, then two on one core each; the broker shares the cores."""
    now_ms = times.now_ms()
    work = workload(events, customers, now_ms, "bursty")
    rows = []
    first = 0.0
    for count in (1, 2):
        prefix = f"workers{count}"
        with tempfile.TemporaryDirectory(prefix="touchline-bench-workers-") as name:
            folder = Path(name)
            one = pinned(touchline(folder, node.bootstrap_servers, prefix), folder, count)
            measured = measure(one, folder, node, work.events)
        check(published(node.bootstrap_servers, one.results), work, now_ms)
        delete(node.bootstrap_servers, topics_of(node.bootstrap_servers, prefix))
        rate = events / measured.seconds
        first = first or rate
        rows.append([str(count), rate, rate / first, *_costs(events, measured)])
    columns = ("workers, a core each", "events/s", "ratio", "CPU µs an event", "peak MB")
    return Table("From one worker to two", columns, rows)


def state(sizes: Sequence[int], events: int, node: LocalKafka) -> Table:
    """Measure the same events, of the first size's customers, after a touch of every profile."""
    rows: list[list[Cell]] = []
    first = 0.0
    for size in sizes:
        prefix = f"state{size}"
        with tempfile.TemporaryDirectory(prefix="touchline-bench-state-") as name:
            folder = Path(name)
            one = touchline(folder, node.bootstrap_servers, prefix)
            now_ms = times.now_ms()
            loading_s = load(one, folder, node, once_each(size, now_ms))
            work = workload(events, sizes[0], now_ms, "uniform", seed=3)
            measured = measure(one, folder, node, work.events)
            on_disk = sum(file.stat().st_size for file in _files(folder / "state"))
        _complete(one, size, work, node)
        delete(node.bootstrap_servers, topics_of(node.bootstrap_servers, prefix))
        rate = events / measured.seconds
        first = first or rate
        costs = _costs(events, measured)
        rows.append([f"{size:,}", rate, rate / first, *costs, on_disk / 1e6, size / loading_s])
    columns = (
        *("profiles", "events/s", "ratio", "CPU µs an event", "peak MB"),
        *("state on disk, MB", "new profiles/s"),
    )
    return Table("As the state grows", columns, rows)


def _costs(events: int, measured: Measured) -> tuple[float, float]:
    return measured.cpu_seconds / events * 1e6, measured.peak_mb


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file())


def _complete(one: Contender, size: int, work: Workload, node: LocalKafka) -> None:
    """Check that every event was accepted once; `compare` has checked profile by profile."""
    ends = Ends(node.bootstrap_servers, [f"{one.prefix}.touchpoints.accepted"])
    found, wanted = ends.count(), size + len(work.touches)
    ends.close()
    if found != wanted:
        raise WrongResult(f"{found} touchpoints accepted, expected {wanted}")

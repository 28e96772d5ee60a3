"""Progress for people: a bar in a terminal, lines at intervals in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: Without a terminal, a line is printed at most this often, in seconds.
_LINE_EVERY_S = 5.0


@contextmanager
def bar(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress; the context is a function that accepts the amount done so far."""
    shown = _bar if console.is_terminal else _lines
    with shown(console, title, total) as done:
        yield done


@contextmanager
def _bar(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=min(done, total))


@contextmanager
def _lines(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    started = told = time.monotonic()
    last = 0

    def say() -> None:
        seconds = time.monotonic() - started
        console.print(
            f"{title}: {min(last, total):,} of {total:,} after {seconds:.0f} s",
            highlight=False,
            markup=False,
        )

    def update(done: int) -> None:
        nonlocal told, last
        last = done
        if time.monotonic() - told >= _LINE_EVERY_S:
            told = time.monotonic()
            say()

    yield update
    say()

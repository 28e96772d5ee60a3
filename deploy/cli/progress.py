"""Progress for people: a bar in a terminal, lines at intervals in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

import click

#: Without a terminal, a line is printed at most this often, in seconds.
_LINE_EVERY_S = 5.0

#: Receives the amount done so far.
Update = Callable[[int], None]


def bar(stream: TextIO, title: str, total: int) -> AbstractContextManager[Update]:
    """Show progress on a stream; the context is a function that accepts the amount done so far."""
    shown = _bar if stream.isatty() else _lines
    return shown(stream, title, total)


@contextmanager
def _bar(stream: TextIO, title: str, total: int) -> Iterator[Update]:
    with click.progressbar(length=total, label=title, file=stream, show_pos=True) as progress:
        yield lambda done: progress.update(min(done, total) - progress.pos)


@contextmanager
def _lines(stream: TextIO, title: str, total: int) -> Iterator[Update]:
    started = printed = time.monotonic()
    last = 0

    def print_line() -> None:
        seconds = time.monotonic() - started
        click.echo(f"{title}: {min(last, total):,} of {total:,} after {seconds:.0f} s", stream)

    def update(done: int) -> None:
        nonlocal printed, last
        last = done
        if time.monotonic() - printed >= _LINE_EVERY_S:
            printed = time.monotonic()
            print_line()

    yield update
    print_line()

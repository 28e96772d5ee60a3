"""`touchline pull`."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from deploy.cli.options import data_option, running_configuration
from deploy.local.detect_embedded import knows_embedded
from deploy.runtime import metrics
from deploy.runtime.pull import Puller, pulled_sources


@click.command()
@click.option("--source", "names", multiple=True, metavar="NAME", help="Only this source.")
@click.option("--once", is_flag=True, help="Read each source to its end, then end.")
@data_option
@click.pass_context
def command(context: click.Context, names: tuple[str, ...], once: bool, data: Path) -> int:
    """Pull the sources that are polled rather than pushed, until SIGTERM or SIGINT.

    With --once the exit status is 1 if one of them could not be read to its end.
    """
    loaded = running_configuration(context, "pull", data)
    sources = pulled_sources(loaded, names)
    stop = threading.Event()
    counters = metrics.PullCounters()
    puller = Puller(loaded, knows_embedded(loaded.settings), data, counters, stop)
    if once:
        return 0 if all([puller.once(source) for source in sources]) else 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    given = loaded.settings.metrics
    with metrics.Exposition(given.host, given.port) as exposition:
        exposition.ready()
        puller.forever(sources)
    return 0

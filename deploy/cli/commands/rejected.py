"""`touchline rejected`."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import Time, data_option, json_option
from deploy.cli.output import print_json, print_lines, warn
from deploy.config.settings import Configuration, Settings
from deploy.kafka.detect_embedded import detect_embedded
from deploy.operations.rejected import document, text
from deploy.operations.rejected.assessment import Assessor
from deploy.operations.rejected.log import RefusalSelection, RejectedLog
from deploy.operations.rejected.publisher import KafkaReplayPublisher
from deploy.operations.rejected.replay import Replay, Total
from deploy.runtime.factories.clickhouse import clickhouse_client
from deploy.runtime.factories.sources import limits, read_sources
from schemas.rejection import REASONS
from schemas.times import EARLIEST_MS, LATEST_MS, now_ms
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.epochs import Epochs

_PROGRESS_S = 10.0


class _Id(click.ParamType):
    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(uuid.UUID(value))
        except ValueError:
            self.fail("expected the id of a refusal, as touchline rejected list shows it")


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--until", type=Time(), help="What was received before."),
        click.option("--since", type=Time(), help="What was received then or later."),
        click.option("--reason", default="", type=click.Choice(["", *REASONS]), metavar="REASON"),
        click.option("--source", default="", help="What this source sent."),
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """List refused events and replay them."""


@command.command(name="list")
@_filters
@click.option("--limit", default=20, show_default=True, help="So many of the newest.")
@data_option()
@json_option
@click.pass_context
def list_(context: click.Context, /, limit: int, data: Path, as_json: bool, **filters: Any) -> int:
    """Count the refusals by source and reason, and list the newest, without their payloads."""
    settings = load_configuration(context, "rejected", data).settings
    selection = _selection((), **filters)
    with _log(settings) as (log, _):
        counts, rows = log.counts(selection), log.listed(selection, limit)
    if as_json:
        print_json(document.listed(counts, rows))
    else:
        print_lines(text.listed(counts, rows))
    return 0


@command.command()
@click.argument("rejected_id", metavar="ID", type=_Id())
@data_option()
@json_option
@click.pass_context
def show(context: click.Context, rejected_id: str, data: Path, as_json: bool) -> int:
    """Show one refusal with its payload, and the actual or expected outcome of a replay."""
    loaded = load_configuration(context, "rejected", data)
    with _log(loaded.settings) as (log, clickhouse):
        assessor = _assessor(loaded, clickhouse)
        found = []
        for refusal in log.found(rejected_id):
            mark = log.mark_of(refusal)
            events = log.shown(refusal.source, mark.event_ids) if mark else set()
            found.append(document.RefusalDetails(refusal, mark, assessor.assess(refusal), events))
    if not found:
        return _unknown([rejected_id])
    for one in found:
        if as_json:
            print_json(document.shown(one))
        else:
            print_lines(text.shown(one))
    return 0


@command.command()
@click.argument("ids", metavar="[ID]...", type=_Id(), nargs=-1)
@_filters
@click.option("--limit", default=0, help="At most so many, the oldest first.")
@click.option("--apply", is_flag=True, help="Do it; otherwise it is only said what would be done.")
@click.option("--wait", default=30.0, show_default=True, help="Seconds until it has gone through.")
@data_option()
@json_option
@click.pass_context
def replay(
    context: click.Context, /, ids: tuple[str, ...], data: Path, as_json: bool, **options: Any
) -> int:
    """Replay refused events with the configuration and connectors as they are now.

    Without --apply they are read and counted, and nothing is sent. With it, those that would be
    accepted now are sent to Kafka and marked; those that would be refused again stay as they are. A
    marked event is never replayed again, and an event that is refused during the run is not
    replayed in it.
    """
    limit, apply, wait_s = options.pop("limit"), options.pop("apply"), options.pop("wait")
    loaded = load_configuration(context, "rejected", data)
    settings = detect_embedded(loaded.settings) if apply else loaded.settings
    selection = _selection(ids, **options)
    with _log(settings) as (log, clickhouse):
        if unknown := [one for one in ids if not log.found(one)]:
            return _unknown(unknown)
        began_ms = log.now_ms()
        assessor = _assessor(loaded, clickhouse)
        if not apply:
            total = Replay(log, assessor, None, now_ms, _progress()).run(selection, began_ms, limit)
            _answer(total, as_json, applied=False)
            return 0
        with KafkaReplayPublisher(settings, _shown(settings, clickhouse), wait_s) as publisher:
            total = Replay(log, assessor, publisher, now_ms, _progress()).run(
                selection, began_ms, limit
            )
            complete = not total.done or publisher.settle()
        _answer(total, as_json, applied=True)
        if total.done and not as_json:
            print_lines(text.settled(complete, log.refused_since(began_ms), wait_s))
    return 0


@contextlib.contextmanager
def _log(settings: Settings) -> Iterator[tuple[RejectedLog, ClickHouse]]:
    with contextlib.closing(clickhouse_client(settings)) as clickhouse:
        yield RejectedLog(clickhouse, settings.namespace), clickhouse


def _assessor(loaded: Configuration, clickhouse: ClickHouse) -> Assessor:
    sources = {source.name: source for source in read_sources(loaded)}
    return Assessor(sources, limits(loaded.settings), _shown(loaded.settings, clickhouse))


def _shown(settings: Settings, clickhouse: ClickHouse) -> int:
    shown = Epochs(clickhouse, settings.namespace).shown()
    return shown.number if shown else 0


def _selection(
    ids: tuple[str, ...], source: str, reason: str, since: int | None, until: int | None
) -> RefusalSelection:
    return RefusalSelection(
        source,
        reason,
        EARLIEST_MS if since is None else since,
        LATEST_MS if until is None else until,
        ids,
    )


def _progress() -> Callable[[Total], None]:
    """Return a function that reports progress on stderr at intervals."""
    said = time.monotonic()

    def beat(total: Total) -> None:
        nonlocal said
        if time.monotonic() - said > _PROGRESS_S:
            said = time.monotonic()
            warn(f"touchline: {total.refusals:,} read, {total.done:,} of them can be replayed")

    return beat


def _answer(total: Total, as_json: bool, *, applied: bool) -> None:
    if as_json:
        print_json(document.replayed(total, applied=applied))
    else:
        print_lines(text.replayed(total, applied=applied))


def _unknown(ids: list[str]) -> int:
    warn(f"touchline: nothing was refused under the id {', '.join(ids)}")
    return 1

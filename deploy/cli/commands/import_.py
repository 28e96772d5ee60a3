"""`touchline import`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import data_option, json_option, parse_pairs
from deploy.cli.output import print_json, print_lines, warn
from deploy.cli.progress import bar
from deploy.kafka.cursors import cursors
from deploy.kafka.detect_embedded import detect_embedded
from deploy.kafka.operator_publisher import PresentPublisher
from deploy.operations.import_file import Counts, Import, first_rows, source_of
from deploy.runtime.factories.sources import limits
from ingest.files.reader import BatchSource, SourceReader
from ingest.testing.preview import documents, lines
from schemas.rejection import Rejection
from schemas.times import now_ms


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--connector", default="", metavar="NAME", help="The connector that reads the file.")
@click.option("--source", default="", metavar="NAME", help="The source that its touches have.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option.")
@click.option("--dry-run", is_flag=True, help="Only show what the first rows would become.")
@click.option(
    "--rows", default=5, show_default=True, type=click.IntRange(1), help="So many with --dry-run."
)
@click.option("--again", is_flag=True, help="Read all of it, also what was imported before.")
@click.option(
    "--wait", default=60.0, show_default=True, help="Seconds to wait for Kafka with each batch."
)
@data_option()
@json_option
@click.pass_context
def command(context: click.Context, /, file: Path, as_json: bool, **given: Any) -> int:
    """Import a file: rows of csv, jsonl or cdr, or bodies of a webhook's connector, one per line.

    If an import is interrupted, the same command continues after the last row that Kafka has.
    Importing a file again, under any name, changes nothing; of a file that has grown only the new
    rows are imported. Refused rows are shown by touchline rejected list. With --dry-run nothing is
    sent, and the exit status is 1 if a row would be refused.
    """
    if not given["connector"] and not given["source"]:
        raise click.UsageError("name a source, or a connector that one source has")
    loaded = load_configuration(context, "import", None if given["dry_run"] else given["data"])
    source = source_of(loaded, given["source"], given["connector"], parse_pairs(given["options"]))
    if source.name not in loaded.settings.sources:
        warn(f"touchline: source {source.name} is not configured, so defaults are used")
    reader = SourceReader(source, limits(loaded.settings), now_ms)
    if given["dry_run"]:
        return _dry(reader, file, given["rows"], as_json)
    settings = detect_embedded(loaded.settings)
    began = time.monotonic()
    with (
        contextlib.closing(cursors(settings, given["data"])) as kept,
        PresentPublisher(settings, "touchline-import", given["wait"]) as outlet,
        _progress(file) as beat,
    ):
        counts = Import(reader, kept, outlet).run(file, again=given["again"], beat=beat)
    _answer(file, source, counts, time.monotonic() - began, as_json)
    return 0


@contextlib.contextmanager
def _progress(file: Path) -> Iterator[Callable[[Counts, float | None], None]]:
    """Show a bar on stderr, in bytes of the file; on interruption, report the position."""
    size = file.stat().st_size
    counts: Counts | None = None
    with bar(sys.stderr, f"importing {file.name} (bytes)", size) as done:

        def beat(so_far: Counts, part: float | None) -> None:
            nonlocal counts
            counts = so_far
            if part is not None:
                done(round(size * part))

        try:
            yield beat
        except BaseException:
            if counts is not None:
                warn(
                    f"touchline: broken off with {counts.already + counts.rows:,} rows imported; "
                    "the same command goes on behind them"
                )
            raise


def _dry(reader: SourceReader, file: Path, limit: int, as_json: bool) -> int:
    found = first_rows(reader, file, limit)
    if as_json:
        print_json([{"place": one.place, "results": documents(one.results)} for one in found])
    else:
        for one in found:
            print_lines([f"{one.place or file.name}:", *lines(one.results), ""])
    return 1 if any(isinstance(it, Rejection) for one in found for it in one.results) else 0


def _answer(file: Path, source: BatchSource, counts: Counts, seconds: float, as_json: bool) -> None:
    refused = counts.rejected.total()
    if as_json:
        print_json(
            {
                "file": str(file),
                "source": source.name,
                "connector": source.connector.name,
                "rows": counts.rows,
                "accepted": counts.accepted,
                "rejected": refused,
                "rejected_by_reason": dict(sorted(counts.rejected.items())),
                "first_rejected": counts.details,
                "already_imported": counts.already,
                "seconds": round(seconds, 1),
            }
        )
        return
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in counts.rejected.most_common())
    click.echo(
        f"{file.name}: {counts.rows:,} rows in {seconds:.1f} s, {counts.accepted:,} touches "
        f"accepted, {refused:,} rejected{f' ({reasons})' if reasons else ''}; "
        f"{counts.already:,} rows were imported before"
    )
    for detail in counts.details:
        click.echo(f"  {detail}")
    if refused:
        click.echo(f"  all of them: touchline rejected list --source {source.name}")

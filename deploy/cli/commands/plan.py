"""`touchline plan`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import Time, data_option, json_option
from deploy.cli.output import print_json, print_lines
from deploy.operations.rejected.document import moment
from deploy.operations.rejected.text import plain
from deploy.runtime.factories.clickhouse import clickhouse_client
from schemas.times import EARLIEST_MS
from schemas.violation import Violation
from sinks.clickhouse.tables import databases

_SQL = """
SELECT
    source, type, place, rule, expected, came, action,
    sum(v.events) AS events, min(v.first_at) AS first_at, max(v.last_at) AS last_at,
    argMax(v.example_event_id, (v.example != '', v.last_at)) AS example_event_id,
    argMax(v.example, (v.example != '', v.last_at)) AS example
FROM {bi:Identifier}.plan_violations AS v
WHERE (source = {source:String} OR {source:String} = '')
    AND v.last_at >= fromUnixTimestamp64Milli({since:Int64})
GROUP BY source, type, place, rule, expected, came, action
ORDER BY events DESC, source, type, place, rule LIMIT {limit:UInt32}
"""


@click.group()
def command() -> None:
    """Show events that differ from the tracking plan."""


@command.command()
@click.option("--source", default="", help="What this source sent.")
@click.option("--since", type=Time(), help="Days on which it was still seen then or later.")
@click.option("--limit", default=50, show_default=True, help="So many, the most frequent first.")
@click.option("--examples", is_flag=True, help="With an event of each: your customers' data.")
@data_option()
@json_option
@click.pass_context
def violations(
    context: click.Context, /, examples: bool, data: Path, as_json: bool, **chosen: Any
) -> None:
    """List the violations: the expected value, the actual value, and the number of events."""
    settings = load_configuration(context, "plan", data).settings
    if chosen["since"] is None:
        chosen["since"] = EARLIEST_MS
    parameters = {"bi": databases(settings.namespace).bi, **chosen}
    with contextlib.closing(clickhouse_client(settings)) as clickhouse:
        rows = clickhouse.rows(_SQL, parameters)
    for row in rows:
        row["first_at"], row["last_at"] = moment(row["first_at"]), moment(row["last_at"])
        if not examples:
            del row["example"]
    if as_json:
        print_json(rows)
    else:
        print_lines(_lines(rows))


def _lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "nothing differs from the tracking plan"
    for row in rows:
        told = Violation(row["place"], row["rule"], row["expected"], row["came"])
        yield plain(
            f"{row['events']:>9,}  {row['source']}  {row['type']}  {told}  "
            f"[{row['action']}, last {row['last_at']}, event {row['example_event_id']}]"
        )
        if row.get("example"):
            yield f"{'':>9}  {plain(row['example'])}"

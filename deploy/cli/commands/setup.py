"""`touchline setup`."""

from __future__ import annotations

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import json_option
from deploy.cli.output import print_json, warn
from deploy.operations.setup import Report, set_up


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--wait", default=60.0, show_default=True, help="Seconds to wait for Kafka and ClickHouse."
)
@json_option
@click.pass_context
def command(context: click.Context, dry_run: bool, wait: float, as_json: bool) -> int:
    """Create topics and tables and announce the epoch to the workers; safe to run again."""
    loaded = load_configuration(context, "setup")
    report = set_up(loaded.settings, dry_run=dry_run, timeout=wait)
    if as_json:
        print_json(report.as_dict())
    else:
        _print(report)
    for difference in report.topics.differing:
        warn(f"touchline: {difference}")
    return 1 if report.topics.differing else 0


def _print(report: Report) -> None:
    would = "" if report.epoch else "would be "
    click.echo(f"topics: {len(report.topics.created)} {would}created")
    for name in report.topics.created:
        click.echo(f"  {name}")
    click.echo(f"topics: {len(report.topics.unchanged)} are as they should be")
    click.echo(f"migrations: {len(report.migrations)} {would}applied")
    for name in report.migrations:
        click.echo(f"  {name}")
    if report.epoch:
        state = "shown" if report.epoch.active else "not shown yet"
        click.echo(f"epoch: {report.epoch.number} ({state})")

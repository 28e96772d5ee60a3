"""`touchline local-clickhouse`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from deploy.cli.options import configuration
from deploy.local.clickhouse_http import serve


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".touchline/clickhouse"),
    show_default=True,
    help="Folder that keeps everything.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8123, show_default=True, help="0 takes a free one.")
@click.pass_context
def command(context: click.Context, data: Path, host: str, port: int) -> None:
    """Run ClickHouse's engine on a local folder until SIGTERM or SIGINT; print its address."""
    configuration(context, "clickhouse")
    asyncio.run(serve(data, host, port, click.echo))

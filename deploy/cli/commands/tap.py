"""`touchline tap`."""

from __future__ import annotations

import contextlib
import json
from itertools import islice
from pathlib import Path
from typing import Any

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.identifiers import parse_identifier
from deploy.cli.options import data_option, json_option
from deploy.cli.output import warn
from deploy.kafka.detect_embedded import detect_embedded
from deploy.operations.tap import TouchFilter, document, line, passing


@click.command()
@click.option("--source", default="", help="Only touches of this source.")
@click.option("--channel", default="", help="Only touches on this channel.")
@click.option("--type", "kind", default="", help="Only touches of this type.")
@click.option("--identifier", metavar="KIND:VALUE", help="Only touches that name this customer.")
@click.option("--personal", is_flag=True, help="Show personal data, which are masked otherwise.")
@click.option("--limit", type=click.IntRange(min=1), help="End after so many.")
@data_option()
@json_option
@click.pass_context
def command(context: click.Context, /, *, data: Path, limit: int | None, **given: Any) -> int:
    """Show accepted touches as they arrive, until Ctrl-C.

    It reads outside of the consumer groups, so it does not affect them. Refused events are shown by
    `touchline rejected list`.
    """
    settings = detect_embedded(load_configuration(context, "tap", data).settings)
    who = parse_identifier(settings, given["identifier"]) if given["identifier"] else None
    wanted = TouchFilter(given["source"], given["channel"], given["kind"], who)
    personal = given["personal"]
    with contextlib.suppress(KeyboardInterrupt):
        touches = passing(settings, lambda: warn("touchline: waiting for touches; Ctrl-C ends"))
        for row in islice(filter(wanted.matches, touches), limit):
            if given["as_json"]:
                click.echo(json.dumps(document(row, personal=personal), ensure_ascii=False))
            else:
                click.echo(line(row, personal=personal))
    return 0

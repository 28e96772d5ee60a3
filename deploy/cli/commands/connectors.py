"""`touchline connectors`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import json_option, parse_pairs, split_pairs
from deploy.cli.output import print_json, print_lines, warn
from deploy.config.config_file import ConfigurationError
from deploy.runtime.factories.sources import Plans, source_policy, source_problem
from ingest.connector import PresetConnector
from ingest.files.reader import BatchSource
from ingest.intake.accept import SourcePolicy
from ingest.registry import ConnectorError, Registry
from ingest.testing.contracts import load_contract
from ingest.testing.preview import (
    Previewed,
    connector_for,
    documents,
    lines,
    option_values,
    preview,
    request_of,
)
from ingest.testing.scaffold import create_package
from schemas.rejection import Rejection
from schemas.times import now_ms


@click.group()
def command() -> None:
    """List, create, test and try the connectors, the plug-ins for channels."""


@command.command("list")
@json_option
def list_connectors(as_json: bool) -> int:
    """List every installed connector with its origin and its options."""
    registry = Registry()
    found = [_describe(registry, name) for name in registry]
    if as_json:
        print_json(found)
    else:
        width = max(map(len, registry), default=0)
        for connector in found:
            click.echo(f"{connector['name']:<{width}}  {connector.get('doc') or ''}")
            detail = connector.get("problem") or f"options: {', '.join(connector['options'])}"
            click.echo(f"{'':<{width}}  {detail} ({connector['package']})")
            if connector.get("presets"):
                click.echo(f"{'':<{width}}  presets: {', '.join(connector['presets'])}")
    return 1 if any("problem" in connector for connector in found) else 0


@command.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to; by default ./NAME.")
def new_connector(name: str, folder: Path | None) -> int:
    """Create a package for a new connector: code, payloads, tests, entry points.

    The package works as it is; its README says what to change for your provider.
    """
    target = folder or Path(name)
    for file in create_package(name, target, Registry()):
        click.echo(str(file))
    click.echo(f"now: pip install -e '{target}[dev]', then touchline connectors test {name}")
    return 0


@command.command("test")
@click.argument("name")
@json_option
def test_connector(name: str, as_json: bool) -> int:
    """Test a connector against its contract: signatures, bad data, redeliveries and more.

    Needs pytest and hypothesis: pip install 'touchline[testing]'. Exit status 1 if a promise is
    broken.
    """
    load_contract(name)
    # A separate process, without the current folder on the module path.
    told = [sys.executable, "-P", "-m", "ingest.testing", name, *(["--json"] if as_json else [])]
    return subprocess.run(told, check=False).returncode  # noqa: S603 - ourselves


@command.command("try")
@click.argument("name")
@click.option(
    "--payload",
    type=click.File("rb"),
    required=True,
    help="File with the body as the provider sends it, the file to import, or an e-mail of a "
    "mailbox; - for standard input.",
)
@click.option("--source", help="Take options, region, currency and tracking plan of this source.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option; a list has commas, or is given item by item; anything else is JSON.",
)
@click.option("--region", help="Country of phone numbers that name none, for instance JP.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header.")
@click.option("--path", default="", help="The path that is called; by default /hooks/SOURCE.")
@click.option("--query", default="", help="The query string.")
@click.option("--method", default="POST", show_default=True, help="The HTTP method.")
@click.option(
    "--rows", default=100, show_default=True, type=click.IntRange(1), help="Most rows of a file."
)
@json_option
@click.pass_context
def try_connector(context: click.Context, /, name: str, payload: BinaryIO, **given: Any) -> int:
    """Show the touchpoints that a connector makes of a payload.

    Needs no Kafka, polls no provider and checks no signature. Exit status 1 if an event was
    refused.
    """
    source = _tried(context, name, given["source"], split_pairs(given["options"]))
    if given["region"]:
        source = replace(source, policy=replace(source.policy, region=given["region"]))
    request = request_of(
        payload.read(),
        method=given["method"],
        path=given["path"] or f"/hooks/{source.name}",
        query=given["query"],
        headers=parse_pairs(given["headers"], ":"),
    )
    rows = iter(preview(source, request, payload.name, now_ms))
    found = list(islice(rows, given["rows"]))
    if next(rows, None) is not None:
        warn(f"touchline: shown are the first {given['rows']} rows; --rows shows more")
    if given["as_json"]:
        print_json([document for row in found for document in _documents(row)])
    else:
        for row in found:
            head, tail = ([f"{row.place}:"], [""]) if row.place else ([], [])
            print_lines([*head, *lines(row.results), *tail])
    return 1 if any(isinstance(one, Rejection) for row in found for one in row.results) else 0


def _tried(
    context: click.Context, name: str, source: str | None, given: list[tuple[str, str]]
) -> BatchSource:
    """Return a source with the connector, made of the options given and those of the source."""
    registry = Registry()
    options = option_values(registry.load(name).options, given)
    if source is None:
        try:
            return BatchSource(connector_for(registry, name, options), SourcePolicy("try"))
        except ConnectorError as error:
            hint = " (options: --option NAME=VALUE, or --source NAME)"
            raise ConnectorError(f"{error}{hint}") from error
    loaded = load_configuration(context, "connectors")
    settings = loaded.settings
    if source not in settings.sources:
        raise click.BadParameter("the configuration has no such source", param_hint="--source")
    try:
        connector = connector_for(registry, name, settings.sources[source].options | options)
    except ConnectorError as error:
        raise ConfigurationError(source_problem(loaded, source, str(error))) from error
    return BatchSource(connector, source_policy(settings, source), Plans(loaded).of(source))


def _documents(row: Previewed) -> list[dict[str, Any]]:
    place = {"place": row.place} if row.place else {}
    return [{**place, **document} for document in documents(row.results)]


def _describe(registry: Registry, name: str) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "package": registry.package(name)}
    try:
        connector = registry.load(name)
    except ConnectorError as error:
        return {**described, "problem": str(error)}
    described |= {"doc": connector.doc, "options": list(connector.options.model_fields)}
    if issubclass(connector, PresetConnector):
        described["presets"] = dict(connector.presets())
    return described

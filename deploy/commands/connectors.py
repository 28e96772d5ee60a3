"""`touchline connectors`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, BinaryIO

import click

from deploy.commands import configuration, json_option, say_json
from deploy.connectors.trying import documents, lines, request_of, results, source_for
from deploy.wiring import Plans, source_policy
from ingest.accept import SourcePolicy
from ingest.registry import ConnectorError, Registry
from schemas.rejection import Rejection


@click.group()
def command() -> None:
    """The plug-ins for channels."""


@command.command("list")
@json_option
def list_connectors(as_json: bool) -> int:
    """Every installed connector, where it comes from and what its options are."""
    registry = Registry()
    found = [_describe(registry, name) for name in registry]
    if as_json:
        say_json(found)
    else:
        width = max(map(len, registry), default=0)
        for connector in found:
            click.echo(f"{connector['name']:<{width}}  {connector.get('doc') or ''}")
            detail = connector.get("problem") or f"options: {', '.join(connector['options'])}"
            click.echo(f"{'':<{width}}  {detail} ({connector['package']})")
    return 1 if any("problem" in connector for connector in found) else 0


@command.command("try")
@click.argument("name")
@click.option(
    "--payload",
    type=click.File("rb"),
    required=True,
    help="File with the body as the provider sends it; - for standard input.",
)
@click.option("--source", help="Take options, region, currency and tracking plan of this source.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header.")
@click.option("--path", default="", help="The path that is called; by default /hooks/SOURCE.")
@click.option("--query", default="", help="The query string.")
@click.option("--method", default="POST", show_default=True, help="The HTTP method.")
@json_option
@click.pass_context
def try_connector(context: click.Context, /, name: str, payload: BinaryIO, **given: Any) -> int:
    """Show what a connector makes of a payload. Needs no Kafka, checks no signature.

    Exit status 1 if anything was refused.
    """
    options = dict(_pair(one, "=") for one in given["options"])
    policy, plan = SourcePolicy(given["source"] or "try"), None
    if given["source"]:
        loaded = configuration(context, "connectors")
        settings = loaded.settings
        if given["source"] not in settings.sources:
            raise click.BadParameter("the configuration has no such source", param_hint="--source")
        policy = source_policy(settings, given["source"])
        plan = Plans(loaded).of(given["source"])
        options = settings.sources[given["source"]].options | options
    try:
        source = replace(source_for(Registry(), name, options, policy), plan=plan)
    except ConnectorError as error:
        hint = "" if given["source"] else " (options: --option NAME=VALUE, or --source NAME)"
        raise ConnectorError(f"{error}{hint}") from error
    request = request_of(
        payload.read(),
        method=given["method"],
        path=given["path"] or f"/hooks/{policy.name}",
        query=given["query"],
        headers=dict(_pair(one, ":") for one in given["headers"]),
    )
    found = results(source, request, time.time_ns() // 1_000_000)
    if given["as_json"]:
        say_json(documents(found))
    else:
        for line in lines(found):
            click.echo(line)
    return 1 if any(isinstance(one, Rejection) for one in found) else 0


def _pair(text: str, between: str) -> tuple[str, str]:
    name, found, value = text.partition(between)
    if not found:
        raise click.BadParameter(f"expected NAME{between}VALUE")
    return name.strip(), value.strip()


def _describe(registry: Registry, name: str) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "package": registry.package(name)}
    try:
        connector = registry.load(name)
    except ConnectorError as error:
        return {**described, "problem": str(error)}
    return {**described, "doc": connector.doc, "options": list(connector.options.model_fields)}

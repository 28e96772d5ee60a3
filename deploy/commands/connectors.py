"""`touchline connectors`."""

from __future__ import annotations

from typing import Any

import click

from deploy.commands import json_option, say_json
from ingest.registry import ConnectorError, Registry


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


def _describe(registry: Registry, name: str) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "package": registry.package(name)}
    try:
        connector = registry.load(name)
    except ConnectorError as error:
        return {**described, "problem": str(error)}
    return {**described, "doc": connector.doc, "options": list(connector.options.model_fields)}

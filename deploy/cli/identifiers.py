"""Identifiers on the command line: KIND:VALUE, or the id of a profile."""

from __future__ import annotations

import uuid

import click

from deploy.cli.output import warn
from deploy.config.settings import Settings
from deploy.operations.profile import identifier_with_id
from schemas.identifiers import Identifier
from sinks.clickhouse.client import ClickHouse


def parse_identifier(settings: Settings, text: str) -> Identifier:
    """Return KIND:VALUE as an identifier in normal form. Raises click.BadParameter."""
    kind, colon, value = text.partition(":")
    if not colon:
        raise click.BadParameter("expected KIND:VALUE, for instance email:ada@example.com")
    found = settings.identity.policy().normalize(kind, value, settings.identity.default_region)
    if found is None:
        raise click.BadParameter(f"this is no value that an identifier of kind {kind!r} can have")
    return found


def find_identifier(settings: Settings, clickhouse: ClickHouse, text: str) -> Identifier | None:
    """Return the identifier of KIND:VALUE or of a profile's id, past or present; None if unknown.

    Raises click.BadParameter and `sinks.clickhouse.client.ClickHouseError`.
    """
    try:
        own_id = uuid.UUID(text)
    except ValueError:
        return parse_identifier(settings, text)
    return identifier_with_id(clickhouse, settings.namespace, own_id)


def report_unknown(identifier: Identifier | None) -> int:
    """Report an unknown identifier or id on stderr, without its value; return the exit status."""
    warn(f"touchline: nobody is known by this {identifier.kind if identifier else 'id'}")
    return 1

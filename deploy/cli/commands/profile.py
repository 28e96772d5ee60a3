"""`touchline profile`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.identifiers import find_identifier, report_unknown
from deploy.cli.options import data_option, json_option
from deploy.cli.output import print_json
from deploy.operations.profile import Customer, find
from deploy.runtime.factories.clickhouse import clickhouse_client
from schemas.identifiers import Identifier


@click.group()
def command() -> None:
    """Show a customer."""


@command.command()
@click.argument("identifier", metavar="KIND:VALUE")
@data_option()
@json_option
@click.pass_context
def show(context: click.Context, identifier: str, data: Path, as_json: bool) -> int:
    """Show one customer: identifiers, traits, segments, newest touches.

    KIND:VALUE is for instance email:ada@example.com or customer_id:1815. The id of a profile is
    accepted too, also one that has become part of another.
    """
    settings = load_configuration(context, "profile", data).settings
    with contextlib.closing(clickhouse_client(settings)) as clickhouse:
        wanted = find_identifier(settings, clickhouse, identifier)
        customer = find(clickhouse, settings.namespace, wanted) if wanted else None
    if wanted is None or customer is None:
        return report_unknown(wanted)
    if as_json:
        print_json(customer.as_dict())
    else:
        _print(customer, wanted)
    return 0


def _print(customer: Customer, wanted: Identifier) -> None:
    profile = customer.profile
    name = profile.get("display_name") or wanted.value
    click.echo(f"{name}  (profile {profile['profile_id']})")
    if not profile["touchpoints"]:
        click.echo("no touch of its own: everything it was named with belongs to somebody else")
    for label, key in (("first seen", "first_seen_at"), ("last seen", "last_seen_at")):
        if key in profile:
            click.echo(f"{label:<12}{profile[key]}")
    click.echo(f"{'touches':<12}{profile['touchpoints']}  {_pairs(profile.get('channels'))}")
    if profile.get("orders"):
        click.echo(f"{'orders':<12}{profile['orders']}  {_pairs(profile.get('revenue'))}")
    if "engagement_score" in profile:
        click.echo(f"{'engagement':<12}{profile['engagement_score']} of 100")
    for label, key in (("traits", "traits"), ("consent", "consent")):
        if profile.get(key):
            click.echo(f"{label:<12}{_pairs(profile[key])}")
    click.echo("identifiers")
    for identifier in customer.identifiers:
        click.echo(f"  {identifier['kind']:<14}{identifier['value']}")
    click.echo("segments" if customer.segments else "segments    none")
    for segment in customer.segments:
        click.echo(f"  {segment['segment']:<30}since {segment['since']}")
    click.echo("newest touches")
    for touch in customer.touchpoints:
        amount = f"{touch['value_amount']} {touch['value_currency']}" * bool(touch["value_amount"])
        about = touch["subject"] or touch["url"] or touch["campaign_name"] or touch["outcome"]
        what = f"{touch['channel']}/{touch['type']}"
        click.echo(f"  {touch['occurred_at']}  {what:<28} {amount} {about}".rstrip())


def _pairs(values: dict[str, object] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted((values or {}).items()))

"""`touchline identity`."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.identifiers import find_identifier, parse_identifier, report_unknown
from deploy.cli.options import Time, data_option, json_option
from deploy.cli.output import print_json, print_lines
from deploy.config.identity_policy import shown_policy
from deploy.config.settings import Settings
from deploy.kafka.control import present_generation
from deploy.kafka.detect_embedded import detect_embedded
from deploy.operations.identity import explain_text, split, split_many, split_text
from deploy.operations.identity.explain import explain as explained
from deploy.operations.identity.graph_commands import KafkaCommands
from deploy.operations.identity.log import IdentityLog, LinkSelection
from deploy.runtime.factories.clickhouse import clickhouse_client
from schemas.identifiers import Identifier
from schemas.times import EARLIEST_MS, LATEST_MS, now_ms
from sinks.clickhouse.epochs import Epochs


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options of `split`."""

    identifier: Identifier | None
    source: str
    since: int | None
    until: int | None
    split_id: str
    lift: bool
    note: str
    dry_run: bool
    apply: bool
    wait: float
    as_json: bool

    def check(self) -> None:
        """Raise click.UsageError if the options do not go together."""
        many = bool(self.source or self.split_id) or (self.since, self.until) != (None, None)
        if many == (self.identifier is not None):
            raise click.UsageError("give KIND:VALUE, or links by --source, --since, --until")
        if self.apply and (self.dry_run or not many):
            raise click.UsageError("--apply is for links by --source, --since, --until")
        if self.split_id and not self.lift:
            raise click.UsageError("--split-id is for --lift")

    @property
    def acts(self) -> bool:
        """Return True if the command makes changes; False if it only reports what would change."""
        return self.apply or (self.identifier is not None and not self.dry_run)

    def order(self) -> split.Order:
        return split.Order(str(uuid.uuid4()), now_ms(), self.lift, self.note)

    def selection(self) -> LinkSelection:
        since = EARLIEST_MS if self.since is None else self.since
        return LinkSelection(self.source, since, LATEST_MS if self.until is None else self.until)


@click.group()
def command() -> None:
    """Explain why identifiers belong to one person; split them again."""


@command.command()
@click.argument("identifier", metavar="KIND:VALUE")
@data_option()
@json_option
@click.pass_context
def explain(context: click.Context, identifier: str, data: Path, as_json: bool) -> int:
    """Explain why these identifiers belong to one person, and others do not.

    Shows the profile, the touches that link its identifiers, refused links with the reason, and
    splits. The id of a profile, present or former, is accepted too.
    """
    settings = load_configuration(context, "identity", data).settings
    with contextlib.closing(clickhouse_client(settings)) as store:
        wanted = find_identifier(settings, store, identifier)
        log = IdentityLog(store, settings.namespace)
        epochs = Epochs(store, settings.namespace)
        policy = shown_policy(epochs, settings.identity.policy())
        found = explained(log, policy, wanted) if wanted else None
    if found is None:
        return report_unknown(wanted)
    if as_json:
        print_json(found.as_dict())
    else:
        print_lines(explain_text.explanation(found))
    return 0


@command.command(name="split")
@click.argument("identifier", metavar="[KIND:VALUE]", required=False)
@click.option("--source", default="", help="Links that touches of this source made.")
@click.option("--since", type=Time(), help="Links of touches that occurred then or later.")
@click.option("--until", type=Time(), help="Links of touches that occurred before.")
@click.option("--lift", is_flag=True, help="Let touches make again what was split.")
@click.option("--split-id", default="", help="With --lift: all of this split.")
@click.option("--note", default="", help="Why; it is kept with the split.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--apply", is_flag=True, help="Do it, for links by --source, --since, --until.")
@click.option("--wait", default=30.0, show_default=True, help="Seconds until the views show it.")
@data_option()
@json_option
@click.pass_context
def split_(context: click.Context, /, identifier: str | None, data: Path, **options: Any) -> int:
    """Undo the links that make identifiers one person, until the split is lifted.

    KIND:VALUE is split from the rest of its person, and no later touch joins them again. With
    --source, --since, --until every link that such a touch made is undone, and stays undone for
    touches of that source; without --apply the links are only counted.
    """
    settings = load_configuration(context, "identity", data).settings
    wanted = parse_identifier(settings, identifier) if identifier else None
    asked = _Asked(wanted, **options)
    asked.check()
    if asked.acts:
        settings = detect_embedded(settings)
    with contextlib.closing(clickhouse_client(settings)) as store:
        log = IdentityLog(store, settings.namespace)
        epochs = Epochs(store, settings.namespace)
        if asked.identifier is not None:
            return _one(settings, log, epochs, asked, asked.identifier)
        return _many(settings, log, epochs, asked)


def _one(
    settings: Settings, log: IdentityLog, epochs: Epochs, asked: _Asked, identifier: Identifier
) -> int:
    policy = shown_policy(epochs, settings.identity.policy())
    plan = split.plan(log, policy, identifier, lift=asked.lift)
    if plan is None:
        return report_unknown(identifier)
    if asked.dry_run:
        _answer(asked, split_text.plan_json(plan), split_text.planned(plan))
        return 0
    split.refuse_during_switch(epochs, present_generation(settings).epoch)
    with KafkaCommands(settings, asked.wait) as commands:
        done = split.split(log, commands, plan, asked.order())
    _answer(asked, split_text.done_json(plan, done), split_text.done(plan, done))
    return 0


def _many(settings: Settings, log: IdentityLog, epochs: Epochs, asked: _Asked) -> int:
    selection = asked.selection()
    pages = (
        split_many.active_splits(log, selection, asked.split_id)
        if asked.lift
        else split_many.holding(log, selection)
    )
    if not asked.apply:
        total = split_many.count(pages, lambda _: None)
        _answer(
            asked,
            split_text.count_json(total, lift=asked.lift),
            split_text.counted(total, lift=asked.lift),
        )
        return 0
    split.refuse_during_switch(epochs, present_generation(settings).epoch)
    order = asked.order()
    with KafkaCommands(settings, asked.wait) as commands:
        embedded = settings.kafka.embedded
        total = split_many.split_many(log, commands, pages, order, pause=embedded)
    result = log.command_result(order.split_id)
    _answer(
        asked,
        split_text.count_json(total, lift=asked.lift, split_id=order.split_id, result=result),
        split_text.applied(total, order.split_id, result, lift=asked.lift),
    )
    return 0


def _answer(asked: _Asked, document: dict[str, Any], lines: Iterable[str]) -> None:
    if asked.as_json:
        print_json(document)
    else:
        print_lines(lines)

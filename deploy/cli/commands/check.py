"""`touchline check`."""

from __future__ import annotations

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import json_option
from deploy.cli.output import print_json
from deploy.config.config_file import ConfigurationError
from deploy.config.identity_policy import (
    describe_reordering,
    differences,
    find_reordered_kinds,
    parse_policy,
)
from deploy.config.settings import Configuration
from deploy.kafka.control import Generation, read_control
from deploy.kafka.topics import KafkaNotReady, connect, ensure
from deploy.kafka.topology import generation_topics, lasting_topics, partitions_of
from deploy.operations.check import problems as configuration_problems
from deploy.operations.setup import repartitioned
from deploy.runtime.factories.stages import segments_of


@click.command()
@click.option("--offline", is_flag=True, help="Do not compare with Kafka.")
@json_option
@click.pass_context
def command(context: click.Context, offline: bool, as_json: bool) -> int:
    """Check all configuration and print each problem on one line with file and line.

    Compares the topics with the configuration too, where Kafka answers.
    """
    problems: list[str] = []
    notes: list[str] = []
    try:
        loaded = load_configuration(context, "check")
    except ConfigurationError as error:
        problems += map(str, error.problems)
    else:
        problems += configuration_problems(loaded)
        if not problems and not offline:
            _compare(loaded, problems, notes)
        if not problems:
            notes.append(_summary(loaded))
    if as_json:
        print_json({"ok": not problems, "problems": problems, "notes": notes})
    else:
        for line in problems:
            click.echo(line, err=True)
        for line in notes:
            click.echo(line)
    return 1 if problems else 0


def _compare(loaded: Configuration, problems: list[str], notes: list[str]) -> None:
    settings = loaded.settings
    try:
        cluster = connect(settings.kafka, timeout=2)
    except KafkaNotReady as error:
        notes.append(f"{error}; its topics were not compared")
        return
    try:
        control = read_control(settings.kafka, settings.namespace)
        present = control.present
        namespace, partitions = (
            (present.namespace, partitions_of(settings, present))
            if present
            else (settings.namespace, 0)
        )
        topics = [*lasting_topics(settings), *generation_topics(settings, namespace, partitions)]
        outcome = ensure(cluster, topics, dry_run=True)
    finally:
        cluster.close()
    place = loaded.file.place(("kafka", "partitions"))
    differing = [*outcome.differing, *repartitioned(settings, present)]
    problems += [f"{place}: {difference}" for difference in differing]
    if present is not None:
        problems += _policy(loaded, present)
    if outcome.created:
        notes.append(f"{len(outcome.created)} topics are missing: run touchline setup")
    if control.next is not None:
        notes.append(f"epoch {control.next.epoch} is being built, or was given up")


def _policy(loaded: Configuration, present: Generation) -> list[str]:
    """Return the differences between the identity policy and that of the present epoch."""
    configured = loaded.settings.identity.policy()
    built = parse_policy(present.policy, configured)
    found = [
        loaded.problem(place, f"is {text}: run touchline rebuild")
        for place, text in differences(built, configured)
    ]
    order = find_reordered_kinds(built, configured, {*built.kinds, *configured.kinds})
    if order:
        found.append(loaded.problem(("identity", "kinds", order[0]), describe_reordering(*order)))
    return [str(problem) for problem in found]


def _summary(loaded: Configuration) -> str:
    settings = loaded.settings
    segments = len(segments_of(settings))
    place = loaded.file.path or "the configuration (defaults and environment)"
    return f"{place} is fine: {len(settings.sources)} sources, {segments} segments"

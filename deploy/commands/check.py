"""`touchline check`."""

from __future__ import annotations

import click

from deploy import verify
from deploy.commands import configuration, json_option, say_json
from deploy.config_file import ConfigurationError
from deploy.settings import Configuration
from deploy.stages import all_changelogs, segments_of
from deploy.topics_admin import KafkaNotReady, connect, ensure, wanted


@click.command()
@click.option("--offline", is_flag=True, help="Do not compare with Kafka.")
@json_option
@click.pass_context
def command(context: click.Context, offline: bool, as_json: bool) -> int:
    """Read all configuration and say what is wrong, one line each with file and line.

    Compares the topics with the configuration too, where Kafka answers.
    """
    problems: list[str] = []
    notes: list[str] = []
    try:
        loaded = configuration(context, "check")
    except ConfigurationError as error:
        problems += map(str, error.problems)
    else:
        problems += verify.problems(loaded)
        if not problems and not offline:
            _compare(loaded, problems, notes)
        if not problems:
            notes.append(_summary(loaded))
    if as_json:
        say_json({"ok": not problems, "problems": problems, "notes": notes})
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
        topics = wanted(settings.kafka, settings.namespace, all_changelogs(settings))
        outcome = ensure(cluster, topics, dry_run=True)
    finally:
        cluster.close()
    place = loaded.file.place(("kafka", "partitions"))
    problems += [f"{place}: {difference}" for difference in outcome.differing]
    if outcome.created:
        notes.append(f"{len(outcome.created)} topics are missing: run touchline setup")


def _summary(loaded: Configuration) -> str:
    settings = loaded.settings
    segments = len(segments_of(settings))
    place = loaded.file.path or "the configuration (defaults and environment)"
    return f"{place} is fine: {len(settings.sources)} sources, {segments} segments"

"""`touchline rebuild`."""

from __future__ import annotations

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.output import warn
from deploy.config.settings import Configuration
from deploy.operations.rebuild import rebuild


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and about how long.")
@click.option(
    "--delete-old", is_flag=True, help="Delete the topics of epochs that are over at the end."
)
@click.option("--clean", is_flag=True, help="Delete the topics of epochs that are over, only that.")
@click.pass_context
def command(context: click.Context, dry_run: bool, delete_old: bool, clean: bool) -> int:
    """Recompute all derived data from the stored data into a new epoch.

    Needed after a change of the identity policy, of the features that segments count or of the
    number of partitions, and after Kafka was lost. All processes continue meanwhile; this command
    runs a worker and a sink of its own beside them, and at the end the running processes switch to
    the new epoch. Ctrl-C before the switch leaves everything unchanged; after it, run the command
    again to continue.
    """
    loaded = load_configuration(context, "rebuild")
    if dry_run:
        return _print(rebuild.plan(loaded))
    taken_over = clean or rebuild.rebuild(loaded, click.echo)
    if not taken_over:
        warn(
            "touchline: nobody has taken over: start worker and sink, or what comes in from now on "
            "waits in Kafka"
        )
    _former_topics(loaded, delete=clean or (delete_old and taken_over))
    return 0 if taken_over else 1


def _print(plan: rebuild.RebuildPlan) -> int:
    present, counts = plan.present, plan.counts
    click.echo(f"present     epoch {present.epoch}, {present.partitions} partitions")
    click.echo(f"way         {_WAYS[plan.way]}")
    click.echo(f"to process  {counts.touches:,} touchpoints")
    click.echo(f"            {counts.links:,} links, {counts.splits:,} splits")
    click.echo(f"partitions  {plan.partitions}")
    for change in plan.changes:
        click.echo(f"changes     {change}")
    click.echo(f"takes       about {_duration(plan.seconds)}, on a small machine")
    if plan.refused:
        warn(f"touchline: {plan.refused}")
    return 1 if plan.refused else 0


_WAYS = {
    "beside": "a new epoch on topics of its own, beside the running system",
    "in place": "into the present epoch, which is empty and not shown yet",
    "finish": "go on with the switch that was broken off",
}


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.0f} minutes" if seconds > 90 else f"{seconds:.0f} seconds"


def _former_topics(loaded: Configuration, *, delete: bool) -> None:
    found = rebuild.former_topics(loaded, delete=delete)
    if not found:
        return
    if delete:
        click.echo(f"{len(found)} topics of former epochs are deleted")
    else:
        click.echo(
            f"{len(found)} topics of former epochs are not used any more; "
            "touchline rebuild --clean deletes them"
        )

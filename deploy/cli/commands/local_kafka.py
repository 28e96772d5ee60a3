"""`touchline local-kafka`."""

from __future__ import annotations

from pathlib import Path

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import data_option
from deploy.local.kafka import KafkaNode, LocalKafka
from deploy.local.ports import port_or_free
from deploy.runtime.signals import stop_event


@click.command()
@data_option(Path(".touchline/kafka"), "Folder that keeps everything.")
@click.option("--port", default=9092, show_default=True, help="A free one if it is taken.")
@click.option("--heap", default="512m", show_default=True, help="Java's heap.")
@click.pass_context
def command(context: click.Context, data: Path, port: int, heap: str) -> int:
    """Run Apache Kafka on a local folder until SIGTERM or SIGINT; print its address."""
    load_configuration(context, "kafka")
    stop = stop_event()
    with LocalKafka(KafkaNode(data.absolute(), port_or_free(port), heap=heap)) as kafka:
        click.echo(kafka.bootstrap_servers)
        while not stop.wait(0.2):
            if kafka.poll() is not None:
                click.echo(f"touchline: Apache Kafka ended by itself, see {kafka.log}", err=True)
                return 1
    return 0

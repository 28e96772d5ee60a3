"""The process of the sink: it writes one generation to ClickHouse."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from deploy.config.settings import Settings
from deploy.kafka import control
from deploy.kafka.clients import security
from deploy.runtime.factories.clickhouse import clickhouse_config
from deploy.runtime.garbage_collection import tune_garbage_collection
from deploy.runtime.membership import exit_when_generation_ends, wait_for_generation
from deploy.runtime.metrics.counters import SinkCounters
from deploy.runtime.observed import observed
from deploy.runtime.signals import async_stop_event
from sinks.clickhouse.config import SinkConfig
from sinks.clickhouse.writer import run_sink


def run(settings: Settings, which: str) -> None:
    """Run the sink in this process, on an epoch (`deploy.kafka.control`), until SIGTERM or SIGINT.

    Another epoch as the present one ends it too.
    """
    with observed(settings, settings.metrics.port, clickhouse=True) as health:
        present = wait_for_generation(settings, which)
        health.started()
        asyncio.run(_write(settings, present))


async def _write(settings: Settings, present: control.Generation) -> None:
    stop = async_stop_event()
    exit_when_generation_ends(settings, present)
    config = replace(sink_config(settings, present.namespace), epoch=present.epoch)
    tune_garbage_collection()
    await run_sink(config, stop, metrics=SinkCounters())


def sink_config(settings: Settings, namespace: str) -> SinkConfig:
    """Return the sink's configuration; the namespace is that of the generation that it reads."""
    kafka = settings.kafka
    return SinkConfig(
        kafka.bootstrap_servers,
        clickhouse_config(settings),
        settings.namespace,
        security(kafka),
        kafka_namespace=namespace,
        # The in-memory broker admits a new member only when the session of the old one is over.
        session_timeout_s=6.0 if kafka.embedded else kafka.session_timeout_s or 30.0,
    )

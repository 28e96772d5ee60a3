"""One stage as a process: connect, run until a signal, stop in good order."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from processors.engine.app import EngineApp
from processors.engine.config import EngineConfig
from processors.engine.hooks import Hooks
from processors.engine.producer import EngineProducer
from processors.engine.runner import Engine
from processors.engine.static_membership import instance_id
from processors.engine.ticks import Ticker
from processors.stage import Stage
from processors.stage_topics import changelogs, group, tables
from schemas.backoff import backoff_s
from schemas.topics import full_name

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
#: The interval of looks for topics that `setup` has not created yet.
_LOOK_INTERVAL = 1.0


def run_stage(stage: Stage, config: EngineConfig, hooks: Hooks | None = None) -> None:
    """Run a stage until SIGTERM or SIGINT; then finish the batch, commit and leave the group.

    Waits for brokers and topics with a line of log for each attempt. Ends the process itself, with
    status `EXIT_HALTED`, when going on could damage the rows.
    """
    # Faust reports a failure with a stack trace; we log it in one line.
    for noisy in ("faust", "mode", "aiokafka"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    asyncio.run(_until_signal(stage, config, hooks or Hooks()))


async def _until_signal(stage: Stage, config: EngineConfig, hooks: Hooks) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with instance_id(config.data_dir, group(stage, config.namespace)) as name:
        await serve(stage, replace(config, instance_id=name), hooks, stop)


async def serve(stage: Stage, config: EngineConfig, hooks: Hooks, stop: asyncio.Event) -> None:
    """Run a stage until `stop` is set."""
    producer = EngineProducer(config, hooks.halt)
    engine = Engine(stage, config, producer, hooks)
    running = asyncio.ensure_future(_start(engine, producer, hooks))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        if failure := running.exception():
            engine.on_crash(failure)
        # From here on aiokafka's reports matter: a broker that does not answer any more.
        logging.getLogger("aiokafka").setLevel(logging.ERROR)
        ticker = asyncio.ensure_future(running.result().run())
        await asyncio.wait({ticker, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if ticker.done():
            engine.on_crash(ticker.exception() or RuntimeError("the ticker ended"))
        await engine.scheduler.wait_idle()
        ticker.cancel()
    running.cancel()
    try:
        await asyncio.wait_for(_stop(engine, producer), config.stop_timeout)
    except TimeoutError:
        hooks.halt("stop_timed_out", stage=stage.name)
    finally:
        gc.unfreeze()
        gc.enable()
    log.info("stage_stopped", stage=stage.name)


async def _start(engine: Engine, producer: EngineProducer, hooks: Hooks) -> Ticker:
    stage, config = engine.stage, engine.config
    await _connect(producer, config)
    cluster = await _wait_for_topics(producer, stage, config)
    folder = data_folder(config.data_dir, stage.name, cluster)
    folder.mkdir(parents=True, exist_ok=True)
    app = EngineApp(engine, group(stage, config.namespace), folder)
    engine.attach(app)
    for name in tables(stage):
        app.add_table(name)
    names = (full_name(config.namespace, name) for name in stage.inputs)
    topic = app.topic(*names, maxsize=2, key_serializer="raw", value_serializer="raw")

    async def work(event: Any) -> None:
        try:
            await engine.on_message(event.message)
        finally:
            event.ack()

    async def process(stream: Any) -> None:
        try:
            async for event in stream.noack().events():
                await engine.scheduler.start(event.message.tp.partition, partial(work, event))
        finally:
            await engine.scheduler.stop()

    app.agent(topic, name=stage.name)(process)
    await app.start()
    log.info("stage_ready", stage=stage.name, cluster=cluster)
    hooks.on_ready()
    gc.collect()
    gc.freeze()
    gc.disable()
    return Ticker(engine, hooks.clock_ms)


async def _stop(engine: Engine, producer: EngineProducer) -> None:
    engine.suspend()
    if hasattr(engine, "app"):
        await engine.app.stop()
    await producer.stop()


async def _connect(producer: EngineProducer, config: EngineConfig) -> None:
    failures = 0
    while True:
        try:
            return await producer.start()
        except (KafkaError, OSError) as error:
            pause = backoff_s(failures, first_s=_FIRST_PAUSE, longest_s=_LONGEST_PAUSE)
            failures += 1
            log.warning(
                "kafka_unreachable",
                servers=config.bootstrap_servers,
                error=type(error).__name__,
                retry_in=pause,
            )
            await asyncio.sleep(pause)


async def _wait_for_topics(producer: EngineProducer, stage: Stage, config: EngineConfig) -> str:
    """Wait until the stage's topics exist; return the cluster's id."""
    names = [full_name(config.namespace, name) for name in stage.inputs]
    names += [topic.name for topic in changelogs(stage, config.namespace)]
    while True:
        try:
            cluster, present = await producer.describe(names)
        except (KafkaError, OSError) as error:
            log.warning("kafka_unreachable", error=type(error).__name__)
        else:
            missing = sorted(set(names) - present)
            if not missing:
                return cluster
            log.warning("topics_missing", topics=missing, hint="run touchline setup")
        await asyncio.sleep(_LOOK_INTERVAL)


def data_folder(data_dir: Path, stage: str, cluster: str) -> Path:
    """Return the folder of a stage's rows: one per broker lifetime, because offsets differ."""
    return data_dir / f"{stage}-{re.sub(r'[^A-Za-z0-9_-]', '_', cluster)}"

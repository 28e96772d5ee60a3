"""Faust as its documentation shows it: `python -m tests.support.plain_faust JSON`.

It reads `touchpoints` and writes `profiles` of a `Deployment`, so that the engine and this can be
put through the same. Agents, by the option `agent`:

count   counts the events of each key in a table, and publishes each count; `poison` raises
take    publishes each event, ten at a time; `poison` raises
two     publishes each event, two at a time; `slow` is never done

`die` = [value, how]: it ends, as if killed, once it has counted this event: `now`, or when all that
was sent is `flushed`. `hold` = [value, file]: before it counts this event it writes the file and
waits, with all else in its thread, until the file is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import faust

from tests.support.engine_worker import KILLED, wait_at

POISON, SLOW = b"poison", b"slow"


def application(options: dict[str, Any]) -> faust.App:
    """The application, ready for `main`."""
    app = faust.App(
        options["group"],
        broker=f"aiokafka://{options['servers']}",
        store="rocksdb://",
        datadir=options["folder"],
        topic_partitions=options["partitions"],
        table_standby_replicas=0,
        broker_commit_interval=options.get("commit_interval", 0.2),
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        web_enabled=False,
    )
    raw = {"key_type": bytes, "value_type": bytes}
    serializers = {"key_serializer": "raw", "value_serializer": "raw"}
    source = app.topic(options["input"], **raw, **serializers)
    output = app.topic(options["output"], **raw, **serializers)

    async def count(stream: Any) -> None:
        async for key, value in stream.items():
            if value == POISON:
                raise ValueError("cannot be processed")
            number = int(table.get(key) or b"0") + 1
            _hold(options.get("hold"), value)
            table[key] = b"%d" % number
            await _die(app, options.get("die"), value)
            await output.send(key=key, value=b"%d" % number)

    async def take(stream: Any) -> None:
        async for values in stream.take(10, within=0.5):
            for value in values:
                if value == POISON:
                    raise ValueError("cannot be processed")
            for value in values:
                await output.send(key=value, value=value)

    async def two(stream: Any) -> None:
        async for value in stream:
            if value == SLOW:
                await asyncio.Event().wait()
            await output.send(key=value, value=value)

    match options["agent"]:
        case "count":
            table = app.Table("counts", partitions=options["partitions"], **raw)
            app.agent(source)(count)
        case "take":
            app.agent(source)(take)
        case "two":
            app.agent(source, concurrency=2)(two)
    return app


def _hold(hold: list[str] | None, value: bytes) -> None:
    if hold and value == hold[0].encode():
        wait_at(Path(hold[1]))


async def _die(app: faust.App, die: list[str] | None, value: bytes) -> None:
    if die and value == die[0].encode():
        if die[1] == "flushed":
            await app.producer.flush()
        os._exit(KILLED)


if __name__ == "__main__":
    made = application(json.loads(sys.argv[1]))
    sys.argv[1:] = []
    faust.Worker(made, loglevel="WARNING").execute_from_commandline()

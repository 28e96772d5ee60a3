"""One run of a contender: from the first record that it publishes to the last.

By the broker's clock; changelogs count as published. Start-up is not counted, and neither is the
waiting until the broker says that everything is committed.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.contenders import Contender
from benchmarks.kafka import positions, span, topics_of
from benchmarks.usage import Usage, running
from deploy.lag import BrokerLags, drain
from deploy.local.kafka import LocalKafka

_TIMEOUT = 3600.0


class Measured(NamedTuple):
    """What a run took."""

    seconds: float
    cpu_seconds: float
    #: Of the broker, meanwhile.
    broker_seconds: float
    #: All processes of the contender together.
    peak_mb: float


def measure(contender: Contender, folder: Path, node: LocalKafka) -> Measured:
    """Run it until it has done everything that is in its topic, then stop it."""
    servers = node.bootstrap_servers
    before = positions(servers, topics_of(servers, contender.prefix))
    log = folder / "output"
    lags = BrokerLags(contender.kafka, contender.readers)
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(running(one.command, one.environment, log, one.core))
            for one in contender.processes
        ]
        usage, of_broker = Usage([one.pid for one in processes]), Usage([node.pid])
        done = drain(
            lags,
            _TIMEOUT,
            sleep=lambda _: time.sleep(0.5),
            give_up=lambda: any(one.poll() is not None for one in processes),
        )
        usage.stop()
        of_broker.stop()
    lags.close()
    if not done:
        said = log.read_text(errors="replace").splitlines()[-15:]
        raise SystemExit("\n".join([*said, f"{contender.prefix} did not get to the end"]))
    names = topics_of(servers, contender.prefix)
    skipped = {contender.input, *contender.endless}
    begin, end = span(servers, [name for name in names if name not in skipped], before)
    return Measured(end - begin, usage.cpu(begin, end), of_broker.cpu(begin, end), usage.peak_mb())

"""The worker: one process a stage, so that no stage waits for another's rebalance or core."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import structlog

from deploy.settings import child_environment
from deploy.stages import STAGE_NAMES
from deploy.supervise import Child, Supervisor

_log = structlog.get_logger(__name__)


def run_worker(config: Path | None, options: tuple[str, ...] = ()) -> None:
    """Run a process for each stage until SIGTERM or SIGINT, then stop them all at once.

    One that ends by itself, because it lost its place in its group or another epoch is present
    for instance, is started again, later each time. `options` are given to each.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    supervisor = Supervisor(None, lambda message: _log.warning("stage_ended", detail=message))
    environment = child_environment(config, {})
    try:
        for stage in STAGE_NAMES:
            supervisor.start(Child(stage, ("worker", "--stage", stage, *options), environment))
        while not stop.wait(0.2):
            supervisor.check()
    finally:
        supervisor.stop_together()

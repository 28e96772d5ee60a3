"""The hooks of a process: clock, metrics, probes, and the way it ends when it must not go on."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog

from processors.engine.metrics import EngineMetrics, NoMetrics
from schemas.times import now_ms

log = structlog.get_logger(__name__)

EXIT_HALTED = 70
#: `halt(reason, **fields)`: a log event; never returns.
Halt = Callable[..., NoReturn]


def halt(reason: str, **fields: Any) -> NoReturn:
    """End the process at once, committing nothing. The next start recovers from the changelog."""
    log.critical(reason, **fields)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_HALTED)


def no_probe(step: str) -> None:
    """Do nothing. Called after each step of the protocol (decide, log, apply, publish, commit).

    Tests end the process there.
    """


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of a process. The defaults are for production, except for the metrics."""

    metrics: EngineMetrics = field(default_factory=NoMetrics)
    probe: Callable[[str], None] = no_probe
    clock_ms: Callable[[], int] = now_ms
    halt: Halt = halt
    #: Called once all assigned partitions are recovered for the first time.
    on_ready: Callable[[], None] = lambda: None

"""The hooks of a process: clock, metrics, probes, and the way it ends when it must not go on."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog

from processors.engine.metrics import EngineMetrics, NoMetrics

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


def wall_clock_ms() -> int:
    """Return milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def no_probe(step: str) -> None:
    """Do nothing. Called after each step of the protocol (decide, log, apply, publish, commit).

    Tests end the process there.
    """


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of a process. The defaults are for production, except for the metrics."""

    metrics: EngineMetrics = field(default_factory=NoMetrics)
    probe: Callable[[str], None] = no_probe
    clock_ms: Callable[[], int] = wall_clock_ms
    halt: Halt = halt
    #: Called once all assigned partitions are recovered for the first time.
    on_ready: Callable[[], None] = lambda: None

"""Logs: events with fields on stderr, as JSON or readable text; never an identifier in clear."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

from deploy.config.sections import LogSettings

#: Client libraries whose reports duplicate those of this code, with more noise.
QUIET = ("kafka", "aiokafka", "clickhouse_connect", "urllib3", "faust", "mode", "aiohttp.access")
#: Faust's services log under these names of their subclasses.
FEWER = tuple(f"processors.engine.{name}" for name in ("app", "consumer", "store", "tables"))
#: The client library whose errors deserve a line, but not hundreds (see `Condensed`). A process
#: that has connected, and reports failures itself, sets its level to ERROR.
CONDENSED = "aiokafka"
_QUIET_S = 10.0
_REMIND_S = 60.0


class Condensed(logging.Handler):
    """A handler that logs one line, without stack traces, for an outage reported repeatedly.

    It logs again after 10 seconds without any report, or a minute after the last line.
    """

    def __init__(self, event: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._event = event
        self._clock = clock
        self._reported = self._said = -math.inf

    def emit(self, record: logging.LogRecord) -> None:
        """Log the event, unless it was just logged."""
        now = self._clock()
        news = now - self._reported > _QUIET_S or now - self._said >= _REMIND_S
        self._reported = now
        if news:
            self._said = now
            structlog.get_logger(__name__).warning(self._event, detail=record.getMessage()[:200])


def configure(settings: LogSettings, process: str) -> None:
    """Send all logs of this process, including those of libraries, to stderr.

    Fields must be free of customer data: names of processes, topics and partitions, counts, times
    and classes of errors only.
    """
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        lambda _logger, _method, event: {"process": process, **event},
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in FEWER:
        logging.getLogger(name).setLevel(logging.WARNING)
    condensed = logging.getLogger(CONDENSED)
    condensed.handlers = [Condensed("kafka_problem")]
    condensed.propagate = False

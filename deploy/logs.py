"""Logs: events with fields on stderr, as JSON or readable text; never an identifier in clear."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from deploy.sections import LogSettings

#: Client libraries that report what we report ourselves, with more noise.
QUIET = ("kafka", "aiokafka", "clickhouse_connect", "urllib3", "faust", "mode", "aiohttp.access")
#: Here Faust's services log under the names of our subclasses.
FEWER = ("processors.engine.app",)


def configure(settings: LogSettings, process: str) -> None:
    """Send all logs of this process, those of libraries too, to stderr.

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

"""Logs of a process: commands configure them, and in tests that is undone."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from deploy.runtime import logs


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Undo what a test configured, whichever test it is: otherwise others see its streams."""
    loggers = {name: logging.getLogger(name) for name in ("", *logs.QUIET, *logs.FEWER)}
    levels = {name: logger.level for name, logger in loggers.items()}
    handlers = loggers[""].handlers
    yield
    structlog.reset_defaults()
    loggers[""].handlers = handlers
    loggers[logs.CONDENSED].handlers = []
    loggers[logs.CONDENSED].propagate = True
    for name, logger in loggers.items():
        logger.setLevel(levels[name])

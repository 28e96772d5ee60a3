"""Commands configure the logs of their process; in tests that is undone."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from deploy.runtime import logs
from tests.support.deployment import World
from tests.support.sinking import Store


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
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


@pytest.fixture
def world(store: Store) -> World:
    """The stages and a real ClickHouse that shows what they publish."""
    return World(store)

"""OutageReporter of ClickHouse or Kafka, reported once although many tables notice them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: The interval of reminders while an outage lasts.
_REMIND_S = 60.0


class OutageReporter:
    """Failures that are retried, by event and error; shared by all tables."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}

    def failed(self, log: Any, event: str, error: str, **fields: Any) -> None:
        """Warn of the first failure, and then once a minute; log those between at debug level."""
        now = self._clock()
        if now - self._said.get((event, error), -_REMIND_S) < _REMIND_S:
            log.debug(event, error=error, **fields)
            return
        self._said[event, error] = now
        log.warning(event, error=error, **fields)

    def over(self, event: str) -> None:
        """Note that the operation works again: the next failure is reported at once."""
        self._said = {key: at for key, at in self._said.items() if key[0] != event}

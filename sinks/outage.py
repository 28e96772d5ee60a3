"""What many notice at the same time is said once: that ClickHouse or Kafka is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: As long as it lasts, it is said again this often.
_REMIND_S = 60.0


class Outages:
    """What went wrong and is tried again, by event and error; shared by all tables."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}

    def failed(self, log: Any, event: str, error: str, **fields: Any) -> None:
        """Warn of the first failure, and then once a minute; those between are for debugging."""
        now = self._clock()
        if now - self._said.get((event, error), -_REMIND_S) < _REMIND_S:
            log.debug(event, error=error, **fields)
            return
        self._said[event, error] = now
        log.warning(event, error=error, **fields)

    def over(self, event: str) -> None:
        """It worked again: the next failure is news."""
        self._said = {key: at for key, at in self._said.items() if key[0] != event}

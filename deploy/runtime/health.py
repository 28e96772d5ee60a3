"""The health of a process: the problems that keep it from its work, and the watches that find them.

A process is ready while none of its parts has a problem. Readiness is served as `/readyz` and as
the metric `touchline_ready`; a dependency (Kafka, ClickHouse) also has a metric of its own, so that
one outage is told apart from its consequences.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import structlog
from prometheus_client import Gauge

_log = structlog.get_logger(__name__)
#: Seconds between two checks of a dependency.
INTERVAL_S = 5.0
_START = "start"


class Health:
    """The problems of a process, by the part that has them. Safe to use from several threads."""

    def __init__(self) -> None:
        """Begin as a process that is starting, until `started`."""
        self._problems = {_START: "the process is starting"}
        self._guard = threading.Lock()

    @property
    def problem(self) -> str | None:
        """The problems in one line; None: the process does its work."""
        with self._guard:
            return "; ".join(self._problems.values()) or None

    def started(self) -> None:
        """Note that the process has begun its work."""
        self.well(_START)

    def failed(self, part: str, problem: str) -> None:
        """Note the problem of a part, in place of an earlier one."""
        with self._guard:
            self._problems[part] = problem

    def well(self, part: str) -> None:
        """Note that a part has no problem."""
        with self._guard:
            self._problems.pop(part, None)


class Dependency(NamedTuple):
    """What a process needs: `check` returns while it answers, and raises one of `errors` otherwise.

    A check is bounded in time.
    """

    name: str
    check: Callable[[], None]
    errors: tuple[type[Exception], ...]


class DependencyWatch:
    """A thread that checks a dependency every few seconds; a context manager around it.

    A process is not ready before the first check has succeeded.
    """

    def __init__(
        self, health: Health, dependency: Dependency, up: Gauge, interval_s: float = INTERVAL_S
    ) -> None:
        """`up` is the metric `dependency_up`."""
        self._health = health
        self._dependency = dependency
        self._part = dependency.name.lower()
        self._interval_s = interval_s
        self._up = up.labels(self._part)
        self._was_up: bool | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"watch-{self._part}", daemon=True)
        self._report(up=False)

    def __enter__(self) -> DependencyWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A check in progress may take its time; the thread ends with the process.
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self._look()
            self._stopped.wait(self._interval_s)

    def _look(self) -> None:
        try:
            self._dependency.check()
        except self._dependency.errors as error:
            if self._was_up is not False:
                _log.warning("dependency_down", dependency=self._part, error=type(error).__name__)
            self._report(up=False)
            self._was_up = False
        else:
            if self._was_up is False:
                _log.info("dependency_up", dependency=self._part)
            self._report(up=True)
            self._was_up = True

    def _report(self, *, up: bool) -> None:
        self._up.set(up)
        if up:
            self._health.well(self._part)
        else:
            self._health.failed(self._part, f"{self._dependency.name} does not answer")

"""A supervisor of child processes: starts, awaits, restarts, and stops them in reverse order.

Each child is `python -m deploy COMMAND` in a process group of its own (Ctrl-C in the terminal
reaches only the parent, which thus controls the order of stopping) and ends when the parent ends.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.runtime.processes import die_with_parent, stop
from schemas.backoff import backoff_s
from schemas.errors import TouchlineError

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
#: Seconds of life after which the next death counts as the first again.
_STABLE_AFTER = 60.0
#: The program that receives a child's arguments.
PROGRAM = (sys.executable, "-m", "deploy")


class ChildFailed(TouchlineError):
    """A child could not start, or died and must not be restarted. The message is one line."""


@dataclass(frozen=True, slots=True)
class Child:
    """A command to run. `ready` is polled until true; it must answer fast and never raise."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[], bool] = lambda: True
    ready_timeout: float = 120.0
    #: Seconds from SIGTERM to SIGKILL.
    grace: float = 20.0


@dataclass(slots=True)
class _Running:
    child: Child
    process: subprocess.Popen[bytes]
    started: float
    #: Deaths in a row, none of them after a long life.
    deaths: int = 0
    restart_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """A supervisor of children. `start`, `check` and `stop` are called from one thread."""

    #: Folder of the children's log files; None: they write to the parent's streams.
    logs: Path | None
    say: Callable[[str], None]
    program: tuple[str, ...] = PROGRAM
    clock: Callable[[], float] = time.monotonic
    _running: dict[str, _Running] = field(default_factory=dict)

    def start(self, child: Child) -> None:
        """Start a child; `wait` reports whether that succeeded."""
        self._running[child.name] = _Running(child, self._spawn(child), self.clock())

    def wait(self, name: str) -> None:
        """Wait until a child is ready. Raises `ChildFailed` if it dies or takes too long."""
        running = self._running[name]
        child = running.child
        deadline = running.started + child.ready_timeout
        while True:
            if running.process.poll() is not None:
                raise ChildFailed(f"{name} did not start: {self._last_words(child)}")
            if child.ready():
                return
            if self.clock() > deadline:
                raise ChildFailed(
                    f"{name} is not ready after {child.ready_timeout:.0f} s: "
                    f"{self._last_words(child)}"
                )
            time.sleep(0.05)

    def check(self) -> None:
        """Restart children that died, after growing pauses. Call it often; it never waits."""
        now = self.clock()
        for name, running in self._running.items():
            status = running.process.poll()
            if status is None:
                continue
            if running.restart_at is None:
                if now - running.started > _STABLE_AFTER:
                    running.deaths = 0
                pause = backoff_s(running.deaths, first_s=_FIRST_PAUSE, longest_s=_LONGEST_PAUSE)
                running.restart_at = now + pause
                self.say(
                    f"{name} ended with status {status}, starts again in {pause:.0f} s "
                    f"({self._last_words(running.child)})"
                )
            elif now >= running.restart_at:
                running.process = self._spawn(running.child)
                running.started, running.restart_at = now, None
                running.deaths += 1

    def stop(self, name: str) -> None:
        """Stop one child and wait for it; do nothing if there is none of that name."""
        if running := self._running.pop(name, None):
            stop(running.process, running.child.grace)

    def stop_all(self) -> None:
        """Stop all children, the last started first."""
        for name in reversed(list(self._running)):
            self.stop(name)

    def stop_together(self) -> None:
        """Stop all children at the same time."""
        for running in self._running.values():
            if running.process.poll() is None:
                running.process.terminate()
        self.stop_all()

    def running(self, name: str) -> bool:
        """Return True if a child was started and not stopped; it may be waiting for its restart."""
        return name in self._running

    def pid(self, name: str) -> int:
        """Return the process id of a child."""
        return self._running[name].process.pid

    def _spawn(self, child: Child) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self._log(child).open("ab")) if self.logs else None
            return subprocess.Popen(  # noqa: S603 - our own commands
                [*self.program, *child.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                env=dict(child.environment),
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call, no Python state
            )

    def _last_words(self, child: Child) -> str:
        """Return the last line of a child's log: commands report a failure in one line."""
        if self.logs is None:
            return "see its log"
        text = self._log(child).read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines()[-1:]
        return lines[0].removeprefix("touchline: ")[:300] if lines else f"see {self._log(child)}"

    def _log(self, child: Child) -> Path:
        return (self.logs or Path()) / f"{child.name}.log"

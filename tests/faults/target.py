"""The target of the faults: a whole Touchline with two of everything, and who looks after it.

An orchestrator would start again what ended, so `watch` does; all else has to come about by
itself.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from kafka.errors import KafkaError

from deploy.config.settings import load
from deploy.kafka.control import present_generation
from deploy.kafka.lag import BrokerLags, drain
from deploy.kafka.topology import readers
from deploy.local.kafka import LocalKafka
from deploy.local.readiness import fetch
from tests.faults.load import BUGGY, Load
from tests.faults.worker import VARIABLE, Plan
from tests.support.clickhouse import LocalClickHouse
from tests.support.profile_reference import DEFINITIONS
from tests.support.proxy import Proxy
from tests.support.system import Process, System, children, ports
from tests.support.waiting import wait_until

#: Short, so that a paused process loses its partitions within a round.
SESSION_S = 8.0
#: A graceful stop has this long.
STOP_S = 10.0
_READY_S = 120.0
#: Ticks come once a second, and a busy machine is late.
_SLACK_S = 10.0
NAMES = ("gateway-1", "gateway-2", "worker-1", "worker-2", "sink-1", "sink-2")


class Servers(NamedTuple):
    """The servers that are not ours, and the proxies through which ours reach it."""

    broker: LocalKafka
    proxy: Proxy
    clickhouse: LocalClickHouse
    clickhouse_proxy: Proxy


class Target:
    """A context manager: its processes end with it."""

    def __init__(self, folder: Path, servers: Servers, seed: int) -> None:
        """`folder` is to be made."""
        folder.mkdir(parents=True)
        self.broker, self.proxy, self.clickhouse, self.clickhouse_proxy = servers
        self.plan = Plan(folder / "plan")
        self.system = System(
            folder / "system",
            self.proxy.address,
            self.clickhouse,
            folder.name,
            DEFINITIONS,
            modules={"worker": "tests.faults.worker"},
            variables={VARIABLE: str(self.plan.folder)},
        )
        self.system.configure(
            kafka={"session_timeout_s": SESSION_S},
            clickhouse={"url": f"http://{self.clickhouse_proxy.address}"},
        )
        #: What went against a promise, in words.
        self.problems: list[str] = []
        #: Whether Kafka or ClickHouse is being tampered with: a stop may then fail in time.
        self.impaired = 0
        #: What a fault works at as a whole: "broker", "clickhouse".
        self.taken: set[str] = set()
        #: The longest that a stop has taken, seconds.
        self.stopped_s = 0.0
        self.load = Load(self.system, lambda: self.urls, seed)
        self._ports = {name: ports() for name in NAMES if name.startswith("gateway")}
        self._unsure_until = 0.0
        self._alive: dict[str, Process] = {}
        self._busy: set[str] = set()

    def __enter__(self) -> Target:
        self.plan.plant(BUGGY)
        self.system.setup()
        for name in NAMES:
            self.start(name)
        self.ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.system.__exit__()

    @property
    def urls(self) -> list[str]:
        """The gateways, also those that are down: clients do not know."""
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    # Processes

    def start(self, name: str) -> None:
        """Start a process by its name, if it does not run."""
        if name in self._alive:
            return
        kind = name.partition("-")[0]
        if kind == "gateway":
            self._alive[name] = self.system.gateway(name, self._ports[name])
        else:
            self._alive[name] = getattr(self.system, kind)(name)

    def runs(self, name: str) -> bool:
        """Return whether a process was started, and no other fault works at it."""
        return name in self._alive and name not in self._busy

    def kill(self, name: str) -> None:
        """Kill a process as the loss of power does."""
        self._drop(name).kill()

    def stop(self, name: str) -> None:
        """Stop a process as an operator does: it has to end in order, and in time."""
        process = self._drop(name)
        # One that is still being loaded has done nothing, and ends as any program does.
        orderly = (0,) if _is_ready(process) else (0, -signal.SIGTERM)
        began = time.monotonic()
        process.popen.terminate()
        try:
            status: int | None = process.popen.wait(patience(30))
        except subprocess.TimeoutExpired:
            status = None
            process.kill()
        took = time.monotonic() - began
        if self.impaired:
            return
        self.stopped_s = max(self.stopped_s, took)
        if status not in orderly or took > patience(STOP_S):
            self.problems.append(f"{name} ended with status {status} after {took:.1f} s")

    def _drop(self, name: str) -> Process:
        process = self._alive.pop(name)
        self.system.processes.remove(process)
        return process

    @contextlib.contextmanager
    def one_of(self, rng: random.Random, kind: str) -> Iterator[str | None]:
        """A running process of a kind, that no other fault works at; None if there is none."""
        free = [n for n in self._alive if n.startswith(kind) and n not in self._busy]
        name = rng.choice(sorted(free)) if free else None
        self._busy.add(name or "")
        try:
            yield name
        finally:
            self._busy.discard(name or "")

    @contextlib.contextmanager
    def alone_at(self, what: str) -> Iterator[bool]:
        """Return whether no other fault works at the process of the broker or of ClickHouse."""
        alone = what not in self.taken
        self.taken.add(what)
        with self.tampering():
            try:
                yield alone
            finally:
                if alone:
                    self.taken.discard(what)

    @contextlib.contextmanager
    def tampering(self) -> Iterator[None]:
        """While Kafka or ClickHouse does not work as it should."""
        self.impaired += 1
        try:
            yield
        finally:
            self.impaired -= 1

    def stages(self, name: str) -> dict[str, int]:
        """Stage -> process id, of a worker; those that run now."""
        found = {}
        for pid in children(self._alive[name].popen.pid):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"--stage" in words:
                    found[words[words.index(b"--stage") + 1].decode()] = pid
        return found

    def pids(self, name: str) -> list[int]:
        """A process and all below it."""
        pid = self._alive[name].popen.pid
        return [pid, *children(pid)]

    def set_clock(self, name: str, ahead_s: float) -> None:
        """Let a worker's clock be wrong from its next start on."""
        self.plan.set_clock(self._state(name).name, int(1000 * ahead_s))

    def unsure(self, seconds: float) -> None:
        """Note that changes by time alone may come too early for so long."""
        self._unsure_until = time.monotonic() + seconds

    @property
    def slack_s(self) -> float:
        """Return how early or late a change that time alone brings may be at this moment."""
        return _SLACK_S + max(0.0, self._unsure_until - time.monotonic())

    def _state(self, name: str) -> Path:
        return self.system.folder / f"state-{name}"

    def lose_state(self, name: str, stage: str = "*") -> None:
        """Delete the rows of a worker that does not run, of one stage or all with its name."""
        folder = self._state(name)
        if stage == "*":
            shutil.rmtree(folder)
            return
        for rows in folder.glob(f"**/{stage}-*"):
            if rows.is_dir():
                shutil.rmtree(rows)

    def watch(self) -> None:
        """Start again what ended by itself."""
        for name, process in list(self._alive.items()):
            status = process.popen.poll()
            if status is not None:
                self._drop(name)
                if not self.impaired:
                    self.problems.append(f"{name} ended by itself with status {status}")
                self.start(name)

    def wait(self, seconds: float) -> None:
        """Let time pass, looking after the processes."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.watch()
            time.sleep(0.1)

    def until(self, condition: Callable[[], object], within: float) -> bool:
        """Wait for a condition, looking after the processes; whether it came true."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.wait(0.2)
        return True

    # What it comes to

    def ready(self, *names: str) -> None:
        """Wait until these do their work, by default all."""
        chosen = [self._alive[name] for name in names or tuple(self._alive)]

        def all_ready() -> bool:
            return all(_is_ready(process) for process in chosen)

        wait_until(
            all_ready, patience(_READY_S), 0.2, lambda: [p.name for p in chosen if not _is_ready(p)]
        )

    def drained(self, within: float) -> bool:
        """Return whether everything that was sent went all the way in time."""
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            try:
                return self._drained(left)
            except KafkaError:  # it is only just back
                self.wait(0.5)
        return False

    def _drained(self, within: float) -> bool:
        settings = load(self.system.file).settings
        everybody = readers(present_generation(settings).namespace)

        def look() -> bool:
            self.watch()
            return False

        with contextlib.closing(BrokerLags(settings.kafka, everybody)) as lags:
            return drain(lags, within, give_up=look)

    def ended_in_order(self) -> list[str]:
        """Stop all; the problems that there were, also those that logs tell of."""
        for name in list(self._alive):
            self.stop(name)
        for name, text in self.system.logs().items():
            at = text.find("Traceback")
            if at >= 0:
                self.problems.append(f"{name}: {text[max(0, at - 500) : at + 3000]}")
        return self.problems


def _is_ready(process: Process) -> bool:
    if process.command == "gateway":
        return fetch(process.metrics["gateway"].replace("/metrics", "/readyz")) is not None
    return process.popen.poll() is None and process.ready()


def patience(seconds: float) -> float:
    """More of them on a machine that has much else to do: above 4 processes a core."""
    return seconds * max(1.0, os.getloadavg()[0] / (4 * (os.cpu_count() or 1)))


def pause(pids: list[int], *, on: bool) -> None:
    """Stop processes in the middle of whatever they do, or let them go on."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)

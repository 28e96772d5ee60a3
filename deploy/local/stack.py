"""`touchline up`: all processes on one machine, in order; unconfigured servers are embedded.

Start: broker, ClickHouse, setup, worker, sink, then (on the embedded broker, which has lost
everything) a replay of the stored touchpoints, then the gateway, and a pull if a source has to be
pulled. Stop: gateway and pull first, so that no new records arrive; then, on the embedded broker
once everything is in ClickHouse, the others in reverse order.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from deploy.config.settings import Configuration, Settings, child_environment, with_changes
from deploy.kafka.lag import BrokerLags, drain
from deploy.kafka.topology import STAGE_NAMES, readers
from deploy.local.broker import EmbeddedBroker
from deploy.local.file_lock import AlreadyHeld, FileLock
from deploy.local.ports import PortReservations
from deploy.local.readiness import fetch
from deploy.local.stack_file import DEVELOPMENT_SOURCES, Addresses, StackFile
from deploy.operations.check import problems
from deploy.operations.rebuild import rebuild
from deploy.operations.setup import set_up
from deploy.runtime.private_files import private_folder
from deploy.runtime.pull import pulled
from deploy.runtime.signals import Interrupts
from deploy.runtime.supervisor import Child, ChildFailed, Supervisor
from schemas.errors import TouchlineError
from sinks.clickhouse.tables import databases

DRAIN_TIMEOUT = 30.0
#: Seconds that the processes of a killed run get to release the data.
_PREDECESSOR_TIMEOUT = 20.0


class StackError(TouchlineError):
    """The stack cannot run; the message has a line for each reason."""


class Stack:
    """All processes of the stack; a context manager for the main thread.

    While it is entered, SIGTERM raises KeyboardInterrupt too, so that a `with` block always ends in
    an orderly stop. During the stop a second signal skips the wait for unread records.
    """

    def __init__(
        self, configuration: Configuration, data: Path, say: Callable[[str], None]
    ) -> None:
        self._data = data.absolute()
        self._say = say
        self._configuration = configuration
        self._supervisor = Supervisor(self.logs, say)
        self._broker: EmbeddedBroker | None = None
        self._changes: dict[str, Any] = {"state": str(self._data / "state")}
        self._given = configuration.settings
        self._ports = PortReservations()
        self._lock = FileLock(self._data / "up.lock")
        self._hurry = False
        self._interrupts = Interrupts()
        self._stack_file = StackFile(self._data)
        self.addresses = Addresses()

    @property
    def settings(self) -> Settings:
        """The configuration, with the present addresses."""
        return with_changes(self._given, self._changes)

    @property
    def bi_database(self) -> str:
        """The database for BI queries."""
        return databases(self._given.namespace).bi

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self._data / "logs"

    def __enter__(self) -> Stack:
        self._interrupts.install()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._interrupts.redirect(self._skip_waiting)
        try:
            self.stop()
        finally:
            self._interrupts.restore()

    def run_until_signal(self) -> None:
        """Supervise the processes until Ctrl-C or SIGTERM. Raises `StackError`."""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                with self._interrupts.deferred():
                    self.check()
                time.sleep(0.2)

    def check(self) -> None:
        """Restart processes that died. Raises `StackError` if the embedded broker did."""
        if self._broker is not None and self._broker.poll() is not None:
            self._hurry = True  # nothing is left to wait for
            raise StackError(
                "the embedded broker has ended, and what it held with it; "
                "start again: what ClickHouse has is processed anew"
            )
        self._supervisor.check()

    # Start --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all, wait until ready. Raises `StackError`, `ChildFailed`, and as `set_up` does."""
        if wrong := problems(self._configuration):
            raise StackError("\n".join(wrong))
        private_folder(self._data)
        self.logs.mkdir(exist_ok=True)
        try:
            self._lock.acquire()
        except AlreadyHeld as problem:
            raise StackError(
                f"another `touchline up` (process {problem}) runs on {self._data}; "
                "stop it or choose another folder with --data"
            ) from None
        self._stack_file.remove()
        if not self._given.sources:
            self._changes["sources"] = DEVELOPMENT_SOURCES
        self._choose_ports()
        self._start_servers()
        epoch = set_up(self.settings, new_epoch=self.settings.kafka.embedded).epoch
        rebuilding = epoch is not None and not epoch.active
        self._say("starting worker, sink and gateway")
        metrics = self._start_consumers()
        if not rebuilding:
            gateway = self._start_gateway()
        for name in ("worker", "sink"):
            self._supervisor.wait(name)
        if epoch is not None and rebuilding:
            rebuild.complete(self.settings, self._say)
            gateway = self._start_gateway()
        self._supervisor.wait("gateway")
        if self._pulls:
            metrics["pull"] = self._start_pull()
        self.addresses = Addresses(
            gateway,
            self.settings.clickhouse.url,
            self.settings.kafka.bootstrap_servers,
            {"gateway": f"{gateway}/metrics", **metrics},
        )
        self._stack_file.write(self.addresses)

    def _choose_ports(self) -> None:
        gateway, metrics = self._given.gateway, self._given.metrics
        self._changes["gateway"] = {"port": self._ports.reserve(gateway.port, host=gateway.host)}
        # One port for each stage, the sink and the pull; the gateway serves its own metrics.
        first = self._ports.reserve(metrics.port, len(STAGE_NAMES) + 1 + self._pulls, metrics.host)
        self._changes["metrics"] = {"port": first}

    def _start_servers(self) -> None:
        """Start Kafka and ClickHouse, unless they are configured."""
        if not self._given.names_clickhouse:
            self._say("starting ClickHouse")
            port = self._ports.reserve(8123)
            self._changes["clickhouse"] = {"url": f"http://127.0.0.1:{port}"}
            self._start_clickhouse(port)
        if not self._given.names_kafka:
            self._say("starting an in-memory Kafka")
            with self._interrupts.deferred():
                self._broker = EmbeddedBroker(self.logs / "kafka.log").start()
            self._changes["kafka"] = {
                "bootstrap_servers": self._broker.bootstrap_servers,
                "embedded": True,
            }
            # State of an earlier broker lifetime: its offsets mean nothing any more.
            shutil.rmtree(self._data / "state", ignore_errors=True)
        if not self._given.names_clickhouse:
            self._wait_for_clickhouse(port)

    def _start_clickhouse(self, port: int) -> None:
        folder = str(self._data / "clickhouse")
        self._start(
            "clickhouse",
            ("local-clickhouse", "--data", folder, "--port", str(port)),
            lambda: fetch(f"http://127.0.0.1:{port}/ping") is not None,
        )

    def _wait_for_clickhouse(self, port: int) -> None:
        deadline = time.monotonic() + _PREDECESSOR_TIMEOUT
        while True:
            try:
                return self._supervisor.wait("clickhouse")
            except ChildFailed:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)
            self._start_clickhouse(port)

    def _start_consumers(self) -> dict[str, str]:
        """Start worker and sink; return the addresses of their metrics."""
        host, first = _reachable(self.settings.metrics.host), self.settings.metrics.port
        names = (*STAGE_NAMES, "sink")
        metrics = {name: f"http://{host}:{first + i}/metrics" for i, name in enumerate(names)}
        stages = [metrics[name] for name in STAGE_NAMES]
        self._start("worker", ("worker",), lambda: all(map(_ready, stages)))
        self._start(
            "sink", ("sink",), lambda: _ready(metrics["sink"]), {"metrics": {"port": first + 3}}
        )
        return metrics

    def _start_gateway(self) -> str:
        gateway = self.settings.gateway
        url = f"http://{_reachable(gateway.host)}:{gateway.port}"
        self._start("gateway", ("gateway",), lambda: fetch(f"{url}/readyz") is not None)
        return url

    @property
    def _pulls(self) -> bool:
        return bool(pulled(self._configuration))

    def _start_pull(self) -> str:
        """Start the pull; return the address of its metrics."""
        port = self.settings.metrics.port + len(STAGE_NAMES) + 1
        url = f"http://{_reachable(self.settings.metrics.host)}:{port}/metrics"
        arguments = ("pull", "--data", str(self._data))
        self._start("pull", arguments, lambda: _ready(url), {"metrics": {"port": port}})
        self._supervisor.wait("pull")
        return url

    def _start(
        self,
        name: str,
        arguments: tuple[str, ...],
        ready: Callable[[], bool],
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        environment = child_environment(
            self._configuration.file.path, {**self._changes, **(changes or {})}
        )
        with self._interrupts.deferred():
            self._supervisor.start(Child(name, arguments, environment, ready))

    # Stop ---------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop all; return when no process is left. Safe to call at any point of a start."""
        if not self._lock.held:
            return
        self._stack_file.remove()
        self._supervisor.stop("gateway")
        self._supervisor.stop("pull")
        if self._broker is not None and self._supervisor.running("sink") and not self._hurry:
            self._drain()
        self._supervisor.stop_all()
        if self._broker is not None:
            self._broker.stop()
        self._ports.release()
        self._lock.release()

    def _drain(self) -> None:
        """Wait until ClickHouse has all records of the embedded broker, which would lose them."""
        try:
            with contextlib.closing(
                BrokerLags(self.settings.kafka, readers(self.settings.namespace))
            ) as lags:
                done = drain(lags, DRAIN_TIMEOUT, give_up=lambda: self._hurry)
        except (KafkaError, OSError):
            done = False
        if not done:
            self._say("not everything that was accepted is processed; the rest is lost")

    def _skip_waiting(self) -> None:
        self._hurry = True


def _reachable(host: str) -> str:
    """Return an address to connect to, for one to listen on."""
    return "127.0.0.1" if host in {"", "0.0.0.0", "::"} else host  # noqa: S104 - a comparison


def _ready(metrics: str) -> bool:
    body = fetch(metrics)
    return body is not None and b"\ntouchline_ready 1.0" in body

"""A whole Touchline as it runs in production: its processes, its gateway and what BI sees."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from deploy.config.settings import load, plain_environment
from deploy.kafka.control import present_generation
from deploy.kafka.lag import BrokerLags, drain
from deploy.kafka.topology import STAGE_NAMES, readers
from deploy.local.ports import is_free
from deploy.local.readiness import fetch
from deploy.runtime.processes import die_with_parent
from sinks.clickhouse.tables import databases
from tests.support.clickhouse import LocalClickHouse
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
SOURCES: dict[str, dict[str, Any]] = {
    name: {"connector": "touchpoint", "token": f"{name}-token"} for name in ("shop", "web", "kiosk")
}
#: Adds touches and joins nobody.
SOURCES["kiosk"]["links"] = False
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Reply(NamedTuple):
    """The gateway's answer; status 0 where there was none."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kept(self) -> bool:
        """Return whether the gateway promised to keep what was sent."""
        return self.status == 202


@dataclass(slots=True)
class Process:
    """One command, its log and where its metrics are, for a worker one address a stage."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    metrics: dict[str, str]
    command: str

    def ready(self) -> bool:
        """Return whether it does its work, in all of its parts."""
        assert self.popen.poll() is None, f"{self.name} has ended:\n{self.log.read_text()}"
        texts = [fetch(url) or b"" for url in self.metrics.values()]
        return all(b"\ntouchline_ready 1.0" in text for text in texts)

    def count(self, metric: str, part: str = "") -> float:
        """The sum of a metric's values, of one part or of all, over all labels."""
        urls = [self.metrics[part]] if part else self.metrics.values()
        lines = b"\n".join(fetch(url) or b"" for url in urls).decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"touchline_{metric}{{", f"touchline_{metric} "))
        )

    def stop(self) -> int:
        """End it as an operator would; its exit status."""
        if self.popen.poll() is None:
            self.popen.terminate()
        return self.popen.wait(30)

    def kill(self) -> None:
        """Kill it and all below it, as a machine does that loses its power."""
        if self.popen.poll() is not None:
            return
        pids = [self.popen.pid, *children(self.popen.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids), 20)


def children(pid: int) -> list[int]:
    """The processes below one."""
    try:
        direct = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [found for child in map(int, direct) for found in (child, *children(child))]


class System:
    """One deployment: a namespace of a broker and of a ClickHouse, and a folder of its own.

    A context manager: its processes end with it.
    """

    def __init__(
        self,
        folder: Path,
        servers: str,
        clickhouse: LocalClickHouse,
        namespace: str,
        segments: Mapping[str, str] | None = None,
        *,
        modules: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`modules` are run for these commands instead of `deploy`, all with these `variables`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.namespace = namespace
        self.clickhouse = clickhouse
        self.file = folder / "touchline.yaml"
        self.gateway_url = ""
        self.modules = modules or {}
        self.variables = variables or {}
        self.processes: list[Process] = []
        definitions = folder / "segments"
        definitions.mkdir()
        for name, when in (segments or {}).items():
            (definitions / f"{name}.yaml").write_text(f"name: {name}\nwhen:\n  {when}\n")
        self._configuration: dict[str, Any] = {
            "kafka": {"bootstrap_servers": servers, "partitions": 4},
            "clickhouse": {"url": clickhouse.url},
            "namespace": namespace,
            "identity": {"default_region": "JP"},
            "segments": "segments",
            "sources": SOURCES,
        }
        self.configure()

    def configure(self, **sections: Mapping[str, Any]) -> None:
        """Write the configuration, with these settings of these sections changed."""
        for name, changes in sections.items():
            self._configuration[name] = {**self._configuration[name], **changes}
        self.file.write_text(yaml.safe_dump(self._configuration))

    def __enter__(self) -> System:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()

    # Processes

    def command(self, name: str, *arguments: str) -> Process:
        """A command that goes on for a while."""
        return self._start(name, arguments, {}, {})

    def revive(self, *processes: Process) -> list[Process]:
        """Start again what has ended in order, as an orchestrator does."""
        return [
            self._again(process) if process.popen.poll() == 0 else process for process in processes
        ]

    def _again(self, ended: Process) -> Process:
        self.processes.remove(ended)
        return self._measured(ended.name, ended.command, tuple(ended.metrics))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        return subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self._environment({}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def setup(self) -> None:
        done = self.run("setup")
        assert done.returncode == 0, done.stderr

    def gateway(self, name: str = "gateway", port: int = 0) -> Process:
        port = port or ports()
        self.gateway_url = f"http://127.0.0.1:{port}"
        variables = {"TOUCHLINE_GATEWAY__PORT": str(port)}
        metrics = {"gateway": f"{self.gateway_url}/metrics"}
        return self._start(name, ("gateway",), variables, metrics)

    def worker(self, name: str) -> Process:
        """A worker with local state of its own, kept from one start to the next."""
        return self._measured(name, "worker", STAGE_NAMES)

    def sink(self, name: str = "sink") -> Process:
        return self._measured(name, "sink", ("sink",))

    def ready(self, *processes: Process) -> None:
        """Wait until these do their work; the gateway too, if it was started."""
        if self.gateway_url:
            wait_until(lambda: fetch(f"{self.gateway_url}/readyz") is not None, 90)
        wait_until(lambda: all(process.ready() for process in processes), 90, 0.2)

    def _measured(self, name: str, command: str, parts: Sequence[str]) -> Process:
        port = ports(len(parts))
        variables = {
            "TOUCHLINE_METRICS__PORT": str(port),
            "TOUCHLINE_STATE": str(self.folder / f"state-{name}"),
        }
        metrics = {part: f"http://127.0.0.1:{port + i}/metrics" for i, part in enumerate(parts)}
        return self._start(name, (command,), variables, metrics)

    def _start(
        self,
        name: str,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        metrics: dict[str, str],
    ) -> Process:
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            popen = subprocess.Popen(
                self._command(arguments),
                cwd=self.folder,
                env=self._environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call, no Python state
            )
        process = Process(name, popen, log, metrics, arguments[0])
        self.processes.append(process)
        return process

    def _command(self, arguments: Sequence[str]) -> list[str]:
        module = self.modules.get(arguments[0], "deploy")
        return [sys.executable, "-m", module, "--config", str(self.file), *arguments]

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {**plain_environment(), "PYTHONPATH": str(ROOT), **self.variables, **variables}

    # Input

    def post(
        self,
        events: Sequence[Mapping[str, Any]],
        source: str = "web",
        url: str = "",
        patience: float = 60,
    ) -> Reply:
        """Send touchpoints of one source, to the newest gateway or to that of `url`.

        Any answer is returned, also none.
        """
        request = urllib.request.Request(
            f"{url or self.gateway_url}/v1/events",
            json.dumps(events).encode(),
            {"Authorization": f"Bearer {SOURCES[source]['token']}"},
        )
        try:
            with _NO_PROXY.open(request, timeout=patience) as response:
                return Reply(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, dict(error.headers), error.read())
        except (OSError, HTTPException):
            return Reply(0, {}, b"")

    def send(self, batches: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
        """Send batches of sources at the same time, each until it is kept."""

        def one(batch: tuple[str, Sequence[Mapping[str, Any]]]) -> None:
            source, events = batch
            wait_until(lambda: self.post(events, source).kept, 60, 0.5)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, batches))

    # Results

    def drained(self, within: float = 60) -> None:
        """Wait until everything that was sent has gone all the way into ClickHouse."""
        settings = load(self.file).settings
        everybody = readers(present_generation(settings).namespace)
        with contextlib.closing(BrokerLags(settings.kafka, everybody)) as lags:
            assert drain(lags, within), "not everything was processed in time"

    def view(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query; `{bi}` stands for the database with the views."""
        text = sql.replace("{bi}", databases(self.namespace).bi)
        return self.clickhouse.query(text, date_time_output_format="iso")

    def logs(self) -> dict[str, str]:
        """Everything that the processes have written, by file."""
        return {path.name: path.read_text() for path in self.folder.glob("*.log")}

    def end(self) -> None:
        """Stop all as an operator would; whatever happened was said in one line each."""
        living = [process for process in self.processes if process.popen.poll() is None]
        for process in living:
            process.popen.terminate()
        assert {process.name: process.popen.wait(30) for process in living} == {
            process.name: 0 for process in living
        }
        for name, text in self.logs().items():
            at = text.find("Traceback")
            assert at < 0, f"{name}: {text[max(0, at - 500) : at + 3000]}"


def ports(count: int = 1) -> int:
    """The first of neighbouring ports that nobody listens on at this moment.

    From below those that the system gives to clients: a process that is started again finds its
    port free.
    """
    while True:
        first = random.randint(15_000, 32_000 - count)
        if all(is_free(first + i) for i in range(count)):
            return first

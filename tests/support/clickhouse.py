"""A ClickHouse for tests: the real engine behind its HTTP front, in a process of its own."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from deploy.runtime.processes import die_with_parent

_namespaces = itertools.count(1)


class QueryError(Exception):
    """ClickHouse's answer to a query that it refused."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = int(code)


class LocalClickHouse:
    """The process on one folder; stopping and starting it keeps data and address."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> LocalClickHouse:
        command = [sys.executable, "-m", "deploy.local.clickhouse_http"]
        self._process = subprocess.Popen(
            [*command, "--data", str(self.data), "--port", str(self.port)],
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call, no Python state
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().decode().strip()
        assert address, "ClickHouse did not start"
        self.port = int(address.rsplit(":", 1)[1])
        return self

    def stop(self, name: signal.Signals = signal.SIGTERM) -> int:
        """End it as an operator would, or without warning by SIGKILL; its exit status."""
        assert self._process is not None
        self._process.send_signal(name)
        return self._process.wait(20)

    def query(self, sql: str, **settings: str) -> list[dict[str, Any]]:
        """The rows of a query; an empty list for a statement. Decimals are text."""
        arguments = {
            "default_format": "JSONEachRow",
            "output_format_json_quote_decimals": "1",
            "output_format_json_quote_64bit_integers": "0",
            "output_format_json_validate_utf8": "1",
            **settings,
        }
        request = urllib.request.Request(f"{self.url}/?{urlencode(arguments)}", data=sql.encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            code = error.headers.get("X-ClickHouse-Exception-Code", "0")
            raise QueryError(error.code, code, error.read().decode()) from error
        return [json.loads(line) for line in body.splitlines()]


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    """One ClickHouse for the whole run; use a namespace of your own in it."""
    server = LocalClickHouse(tmp_path_factory.mktemp("clickhouse")).start()
    yield server
    server.stop()


@pytest.fixture
def own_clickhouse(tmp_path: Path) -> Iterator[LocalClickHouse]:
    """A ClickHouse of its own for a test that stops or kills it."""
    server = LocalClickHouse(tmp_path / "clickhouse").start()
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test of this run has."""
    return f"t{next(_namespaces)}"

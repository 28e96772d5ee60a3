"""Commands load only what they need, so that they start fast: no engine, no HTTP server."""

from __future__ import annotations

import subprocess
import sys

import pytest

ENGINE = ("faust", "mode", "rocksdict")
SERVERS = ("aiohttp", "chdb", "confluent_kafka", "rich")
#: Modules of commands that look at something, or change something from outside.
LIGHT = ("profile", "identity", "segments", "tap", "plan", "setup", "rebuild", "schema")
#: Those that read sources as the gateway does.
READING = ("check", "connectors", "import_", "rejected", "pull", "gateway", "sink")


def loaded(command: str) -> set[str]:
    """The top-level packages that a command's module loads."""
    code = (
        f"import sys, deploy.cli.main, deploy.cli.commands.{command};"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("command", LIGHT)
def test_a_light_command_loads_neither_the_engine_nor_a_server(command: str):
    # structlog looks for rich, to colour tracebacks, wherever it is installed.
    assert not loaded(command) & {*ENGINE, *SERVERS} - {"rich"}


@pytest.mark.parametrize("command", READING)
def test_only_the_worker_loads_the_engine(command: str):
    assert not loaded(command) & {*ENGINE, "chdb", "confluent_kafka"}


def test_the_worker_loads_it():
    assert {*ENGINE} <= loaded("worker")
